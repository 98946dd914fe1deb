package onnxserve;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.pytorch.serve.job.Job;
import org.pytorch.serve.job.RestJob;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The reason why a job leaves the queue without being computed, and the answer to its client. */
enum Drop {
    /** The job's deadline passed. */
    EXPIRED(504, "", "The request's deadline passed while it waited for a worker."),
    /** The client closed its connection, so no answer is sent. */
    GONE(0, "", ""),
    /** The limit of jobs that can be answered in time was reached. */
    REFUSED(503, Drop.OVERLOADED, "More requests wait than can be answered in time. Retry later."),
    /** The queue was full, and the job was the last one of the client with the most jobs in it. */
    DISPLACED(503, Drop.OVERLOADED, "The queue is full, and this client has the most requests in it. Retry later, with fewer at a time."),
    /** The job waited so long that its answer would miss the model's latency target. */
    LATE(503, Drop.OVERLOADED, "The request waited longer than requests should take. Retry later."),
    /** The same request recently ended two workers. */
    POISON(507, Attempt.WORKER_ENDED, "Two workers ended with the same request a while ago."),
    /** Different requests of this client recently ended many workers. */
    QUARANTINED(503, "quarantined", "Requests of this client ended many workers of this model. Retry later, without the rows that do."),
    /** None of the model's workers can load it. The error has no type, since another version may answer. */
    NO_WORKER(503, "", "No worker can load the model now. Retry later."),
    /** The job's model was unregistered. */
    UNREGISTERED(503, "", "The model was unregistered while the request waited for a worker.");

    private static final Logger LOGGER = LoggerFactory.getLogger(Drop.class);
    /** The error type that tells a proxy not to retry at once: the model works but has too much to do. */
    private static final String OVERLOADED = "overloaded";
    // A client that retries at once, like hundreds of connections in a loop, costs the gateway and the frontend as
    // much as an answer does and blocks their event loops. A refusal is therefore delayed. The delay is random:
    // clients that are refused at the same moment would otherwise retry in bursts.
    private static final int LEAST_HELD_MS = 200;
    private static final int SPREAD_MS = 200;
    private static final int SERVICE_UNAVAILABLE = 503;
    private final int status;
    private final String type;
    private final String text;

    Drop(int status, String type, String text) {
        this.status = status;
        this.type = type;
        this.text = text;
    }

    void answer(Job job) {
        if (status == 0) {
            return;
        }
        boolean typed = !type.isEmpty() && Connection.isHttp(job);
        Executor executor = typed ? later() : Runnable::run;
        executor.execute(() -> answer(job, typed));
    }

    private static Executor later() {
        int held = LEAST_HELD_MS + ThreadLocalRandom.current().nextInt(SPREAD_MS);
        return CompletableFuture.delayedExecutor(held, TimeUnit.MILLISECONDS, Runnable::run);
    }

    private void answer(Job job, boolean typed) {
        try {
            if (typed) {
                Connection.answer((RestJob) job, status, headers(), fromGateway(job) ? new byte[0] : body());
            } else {
                job.sendError(status, text);
            }
        } catch (RuntimeException error) {
            // A connection that breaks at this moment must not lose the batch.
            LOGGER.warn("no answer could be sent: {}", text, error);
        }
    }

    private Map<String, String> headers() {
        Map<String, String> headers = new HashMap<>(Map.of(Attempt.ERROR, type, "Content-Type", "application/json"));
        if (status == SERVICE_UNAVAILABLE) {
            headers.put("Retry-After", "1");
        }
        return headers;
    }

    /**
     * Returns whether a gateway forwarded the job. The gateway writes bodies of errors that it knows itself,
     * and keeps a connection open only after an empty body.
     */
    private static boolean fromGateway(Job job) {
        return job.getPayload().getHeaders().containsKey(Deadline.START);
    }

    /** Formats the error like the handlers' errors. */
    private byte[] body() {
        String error = String.format("{\"error\":{\"type\":\"%s\",\"reason\":\"%s\",\"where\":\"queue\"}}", type, text);
        return error.getBytes(StandardCharsets.UTF_8);
    }

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
