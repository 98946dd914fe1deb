package onnxserve;

import java.util.Map;
import org.pytorch.serve.job.Job;
import org.pytorch.serve.util.messages.InputParameter;

/** A waiting job with the values of its headers. */
final class QueuedJob {
    static final String CLIENT = "x-onnxserve-client";
    // The approximate cost of HTTP and of the transfer to the worker, in bytes of JSON; even an empty body costs
    // this.
    private static final long OVERHEAD_BYTES = 256;

    final Job job;
    final Priority priority;
    /** The client's name; requests without one share the empty name. */
    final String client;
    /** The job's cost in bytes, which counts towards its client's share; a request of several rows costs more. */
    final long cost;

    /** The time at which it entered the queue, as a {@link System#nanoTime}. */
    final long arrivedAt;
    /** The time at which the gateway forwarded it; without a gateway, the time at which it entered the queue. */
    final long passedOnAt;

    /** Whether its client had no other job queued when it was taken, and was new to the queue (a sparse flow). */
    boolean sparse;

    /** Whether a worker has it. */
    boolean taken;

    /** Whether its first try failed. */
    boolean failed;

    /** Whether a worker ended while it had the job. */
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

    /** Returns the reason why computing it is pointless, or null. */
    Drop obsolete(long now) {
        if (Connection.closed(job)) {
            return Drop.GONE;
        }
        return deadline.passed(now) ? Drop.EXPIRED : null;
    }
}
