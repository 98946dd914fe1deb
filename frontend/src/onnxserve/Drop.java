package onnxserve;

import java.util.Locale;
import org.pytorch.serve.job.Job;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Why a job leaves the queue without being computed, and what its client is told. */
enum Drop {
    /** Its deadline passed. */
    EXPIRED(504, "The request's deadline passed while it waited for a worker."),
    /** Its client hung up: nobody reads an answer. */
    GONE(0, ""),
    /** The queue was full, and it was the last of the client that had the most in it. */
    DISPLACED(503, "The queue is full, and this client has the most requests in it. Retry later, with fewer at a time."),
    /** Its model was unregistered. */
    UNREGISTERED(503, "The model was unregistered while the request waited for a worker.");

    private static final Logger LOGGER = LoggerFactory.getLogger(Drop.class);
    private final int status;
    private final String text;

    Drop(int status, String text) {
        this.status = status;
        this.text = text;
    }

    void answer(Job job) {
        if (status == 0) {
            return;
        }
        try {
            job.sendError(status, text);
        } catch (RuntimeException error) {
            // A connection that breaks just now must not take the batch with it.
            LOGGER.warn("no answer could be sent: {}", text, error);
        }
    }

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
