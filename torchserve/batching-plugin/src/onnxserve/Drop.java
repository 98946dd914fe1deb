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

/** Why a job leaves the queue without being computed, and what its client is told. */
enum Drop {
    /** Its deadline passed. */
    EXPIRED(504, "", "The request's deadline passed while it waited for a worker."),
    /** Its client hung up: nobody reads an answer. */
    GONE(0, "", ""),
    /** As many waited as can be answered in time. */
    REFUSED(503, Drop.OVERLOADED, "More requests wait than can be answered in time. Retry later."),
    /** The queue was full, and it was the last of the client that had the most in it. */
    DISPLACED(503, Drop.OVERLOADED, "The queue is full, and this client has the most requests in it. Retry later, with fewer at a time."),
    /** It waited so long that its answer would come too late for the model's target. */
    LATE(503, Drop.OVERLOADED, "The request waited longer than requests should take. Retry later."),
    /** The same request ended two workers a while ago. */
    POISON(507, Attempt.WORKER_ENDED, "Two workers ended with the same request a while ago."),
    /** Different requests of this client ended many workers a while ago. */
    QUARANTINED(503, "quarantined", "Requests of this client ended many workers of this model. Retry later, without the rows that do."),
    /** None of the model's workers can load it. Without a type: another version may answer. */
    NO_WORKER(503, "", "No worker can load the model now. Retry later."),
    /** Its model was unregistered. */
    UNREGISTERED(503, "", "The model was unregistered while the request waited for a worker.");

    private static final Logger LOGGER = LoggerFactory.getLogger(Drop.class);
    /** The model is well but has too much to do: whoever passes requests on shouldn't try again at once. */
    private static final String OVERLOADED = "overloaded";
    // Who asks again at once, as hundreds of connections in a loop do, costs the gateway and the frontend as much as an
    // answer does, and others wait for their event loops then: a refusal isn't faster than an answer.
    // Nor are those of one moment sent in one: their clients would all come again at once, and then not at all.
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
            // A connection that breaks just now must not take the batch with it.
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

    /** The gateway writes the errors that it knows itself, and keeps a connection only after an empty body. */
    private static boolean fromGateway(Job job) {
        return job.getPayload().getHeaders().containsKey(Deadline.START);
    }

    /** In the form of the handlers' errors. */
    private byte[] body() {
        String error = String.format("{\"error\":{\"type\":\"%s\",\"reason\":\"%s\",\"where\":\"queue\"}}", type, text);
        return error.getBytes(StandardCharsets.UTF_8);
    }

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
