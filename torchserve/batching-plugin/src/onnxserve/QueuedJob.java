package onnxserve;

import java.util.Map;
import org.pytorch.serve.job.Job;
import org.pytorch.serve.util.messages.InputParameter;

/** A job that waits, with what its headers say. */
final class QueuedJob {
    static final String CLIENT = "x-onnxserve-client";
    // About what HTTP and the way to the worker cost, in bytes of JSON: an empty body isn't free.
    private static final long OVERHEAD_BYTES = 256;

    final Job job;
    final Priority priority;
    /** Requests without a client's name share one, the empty name. */
    final String client;
    /** What the job is worth in a client's share, in bytes: several rows in one request count as such. */
    final long cost;

    /** When it came into the queue, as a {@link System#nanoTime}. */
    final long arrivedAt;
    /** When the gateway passed it on; without a gateway the same. */
    final long passedOnAt;

    /** Its client had nothing else queued when it was taken, and had been quiet before. */
    boolean sparse;

    /** A worker has it. */
    boolean taken;

    /** A try of it failed. */
    boolean failed;

    /** A worker ended while it had the job. */
    boolean workerEnded;

    private final Deadline deadline;

    QueuedJob(Job job, long now) {
        this.job = job;
        Map<String, String> headers = job.getPayload().getHeaders();
        priority = Priority.of(headers.get(Priority.HEADER));
        client = headers.getOrDefault(CLIENT, "");
        long elapsed = Deadline.elapsed(job);
        arrivedAt = now;
        passedOnAt = now - elapsed;
        deadline = Deadline.of(job, elapsed, now);
        long bytes = OVERHEAD_BYTES;
        for (InputParameter parameter : job.getPayload().getParameters()) {
            bytes += parameter.getValue().length;
        }
        cost = bytes;
    }

    /** Why computing it makes no sense any more, or null. */
    Drop obsolete(long now) {
        if (Connection.closed(job)) {
            return Drop.GONE;
        }
        return deadline.passed(now) ? Drop.EXPIRED : null;
    }
}
