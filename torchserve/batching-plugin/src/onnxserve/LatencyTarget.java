package onnxserve;

import java.io.File;
import java.io.IOException;
import java.util.Map;
import org.pytorch.serve.archive.model.InvalidModelException;
import org.pytorch.serve.archive.utils.ArchiveUtils;
import org.pytorch.serve.wlm.Model;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The 99th percentile that an archive aims at: {@code tuning: {p99_ms: 50}} of its model-config.yaml, which
 * TorchServe's own ModelConfig leaves out.
 */
final class LatencyTarget {
    private static final Logger LOGGER = LoggerFactory.getLogger(LatencyTarget.class);

    private LatencyTarget() {}

    /** In ns; 0 for an archive that has none. */
    static long of(Model model) {
        String file = model.getModelArchive().getManifest().getModel().getConfigFile();
        if (file == null) {
            return 0;
        }
        try {
            return of(ArchiveUtils.readYamlFile(new File(model.getModelDir(), file)));
        } catch (InvalidModelException | IOException error) {
            LOGGER.warn("{} is served without a target: {} can't be read", model.getModelName(), file, error);
            return 0;
        }
    }

    /** Of a whole configuration; null is an empty one. */
    static long of(Map<String, Object> config) {
        Object tuning = config == null ? null : config.get("tuning");
        Object milliseconds = tuning instanceof Map ? ((Map<?, ?>) tuning).get("p99_ms") : null;
        double value = milliseconds instanceof Number ? ((Number) milliseconds).doubleValue() : 0;
        return value > 0 && value < Double.POSITIVE_INFINITY ? (long) (value * 1e6) : 0;
    }
}
