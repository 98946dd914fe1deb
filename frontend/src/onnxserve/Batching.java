package onnxserve;

import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;
import org.pytorch.serve.job.Job;
import org.pytorch.serve.servingsdk.Context;
import org.pytorch.serve.servingsdk.ModelServerEndpoint;
import org.pytorch.serve.servingsdk.annotations.Endpoint;
import org.pytorch.serve.servingsdk.annotations.helpers.EndpointTypes;
import org.pytorch.serve.servingsdk.http.Request;
import org.pytorch.serve.servingsdk.http.Response;
import org.pytorch.serve.wlm.Model;
import org.pytorch.serve.wlm.ModelManager;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gives every registered model a {@link BatchQueue}; {@code GET /batching} of the management API
 * lists them. Loaded by TorchServe's own plugin mechanism from {@code plugins_path}.
 */
@Endpoint(
        urlPattern = "batching",
        endpointType = EndpointTypes.MANAGEMENT,
        description = "Models whose batches wait only for requests that are expected")
public final class Batching extends ModelServerEndpoint {
    private static final Logger LOGGER = LoggerFactory.getLogger(Batching.class);
    // Far below the second that a worker needs to start, so that the queue is in place before it polls.
    private static final long PERIOD_MS = 20;
    private static final Map<Model, Adopted> ADOPTED = new ConcurrentHashMap<>();

    private static final class Adopted {
        final LinkedBlockingDeque<Job> before;
        final BatchQueue queue;

        Adopted(LinkedBlockingDeque<Job> before, BatchQueue queue) {
            this.before = before;
            this.queue = queue;
        }

        /** Jobs that were offered to the old queue while it was replaced. */
        void moveStragglers() {
            for (Job job = before.pollFirst(); job != null; job = before.pollFirst()) {
                if (!queue.offerLast(job)) {
                    job.sendError(503, "the queue is full");
                }
            }
        }
    }

    static {
        Thread thread = new Thread(Batching::watch, "onnxserve-batching");
        thread.setDaemon(true);
        thread.start();
    }

    private static void watch() {
        try {
            Field jobs = open("jobsDb");
            Field lock = open("lock");
            while (true) {
                Thread.sleep(PERIOD_MS);
                if (ModelManager.getInstance() != null) {
                    adoptAll(jobs, lock);
                }
            }
        } catch (InterruptedException end) {
            Thread.currentThread().interrupt();
        } catch (ReflectiveOperationException | RuntimeException error) {
            LOGGER.error("batches wait the whole maxBatchDelay: this isn't TorchServe 0.12.0", error);
        }
    }

    private static Field open(String name) throws NoSuchFieldException {
        Field field = Model.class.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }

    private static void adoptAll(Field jobs, Field lock) throws IllegalAccessException {
        var found = ConcurrentHashMap.<Model>newKeySet();
        for (var versions : ModelManager.getInstance().getAllModels()) {
            for (var entry : versions.getValue().getAllVersions()) {
                Model model = entry.getValue();
                found.add(model);
                if (!ADOPTED.containsKey(model)) {
                    adopt(model, jobs, lock);
                }
            }
        }
        ADOPTED.keySet().retainAll(found);
        ADOPTED.values().forEach(Adopted::moveStragglers);
    }

    /** Replace the queue while nobody collects from it; else the next round tries again. */
    @SuppressWarnings("unchecked")
    private static void adopt(Model model, Field jobs, Field lock) throws IllegalAccessException {
        ReentrantLock collecting = (ReentrantLock) lock.get(model);
        if (!collecting.tryLock()) {
            return;
        }
        try {
            var queues = (ConcurrentMap<String, LinkedBlockingDeque<Job>>) jobs.get(model);
            LinkedBlockingDeque<Job> before = queues.get(Model.DEFAULT_DATA_QUEUE);
            if (before != null) {
                int capacity = before.remainingCapacity() + before.size();
                Adopted adopted = new Adopted(before, new BatchQueue(model, Math.max(capacity, 1)));
                queues.put(Model.DEFAULT_DATA_QUEUE, adopted.queue);
                ADOPTED.put(model, adopted);
            }
        } finally {
            collecting.unlock();
        }
    }

    @Override
    public void doGet(Request request, Response response, Context context) throws IOException {
        String models =
                ADOPTED.entrySet().stream()
                        .map(Batching::describe)
                        .sorted()
                        .collect(Collectors.joining(",", "{\"models\":[", "]}\n"));
        response.setContentType("application/json");
        response.getOutputStream().write(models.getBytes(StandardCharsets.UTF_8));
    }

    private static String describe(Map.Entry<Model, Adopted> entry) {
        Model model = entry.getKey();
        return String.format(
                "{\"model\":\"%s\",\"version\":\"%s\",\"expected\":%d,\"queued\":%d}",
                model.getModelName(),
                model.getVersion(),
                entry.getValue().queue.expected(),
                entry.getValue().queue.size());
    }
}
