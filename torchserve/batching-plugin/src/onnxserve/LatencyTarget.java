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
 * The target for an archive's 99th percentile of latency: {@code tuning: {p99_ms: 50}} in its
 * model-config.yaml. TorchServe's own ModelConfig ignores this field.
 */
final class LatencyTarget {
    private static final Logger LOGGER = LoggerFactory.getLogger(LatencyTarget.class);

    private LatencyTarget() {}

    /** Returns a model's target in ns, or 0 if its archive has none. */
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

    /** Returns the target of a parsed configuration in ns; null is an empty configuration. */
    static long of(Map<String, Object> config) {
        Object tuning = config == null ? null : config.get("tuning");
        Object milliseconds = tuning instanceof Map ? ((Map<?, ?>) tuning).get("p99_ms") : null;
        double value = milliseconds instanceof Number ? ((Number) milliseconds).doubleValue() : 0;
        return value > 0 && value < Double.POSITIVE_INFINITY ? (long) (value * 1e6) : 0;
    }
}
