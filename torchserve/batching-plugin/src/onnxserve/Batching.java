package onnxserve;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.stream.Collectors;
import org.pytorch.serve.servingsdk.Context;
import org.pytorch.serve.servingsdk.ModelServerEndpoint;
import org.pytorch.serve.servingsdk.annotations.Endpoint;
import org.pytorch.serve.servingsdk.annotations.helpers.EndpointTypes;
import org.pytorch.serve.servingsdk.http.Request;
import org.pytorch.serve.servingsdk.http.Response;
import org.pytorch.serve.wlm.Model;

/**
 * {@code GET /batching} of the management API lists each model's {@link BatchQueue}. TorchServe's plugin
 * mechanism loads this class from {@code plugins_path}, and loading it starts the plugin.
 */
@Endpoint(
        urlPattern = "batching",
        endpointType = EndpointTypes.MANAGEMENT,
        description = "Each model's queue: what waits, and what was dropped and why")
public final class Batching extends ModelServerEndpoint {
    private static final Map<Model, BatchQueue> QUEUES = Adoption.start();

    @Override
    public void doGet(Request request, Response response, Context context) throws IOException {
        String models =
                QUEUES.entrySet().stream()
                        .map(entry -> json(entry.getKey(), entry.getValue()))
                        .sorted()
                        .collect(Collectors.joining(",", "{\"models\":[", "]}\n"));
        response.setContentType("application/json");
        response.getOutputStream().write(models.getBytes(StandardCharsets.UTF_8));
    }

    private static String json(Model model, BatchQueue queue) {
        return String.format(
                "{\"model\":\"%s\",\"version\":\"%s\",%s}",
                model.getModelName(), model.getVersion(), queue.json());
    }
}
