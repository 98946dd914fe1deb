package onnxserve;

import java.util.ArrayDeque;
import org.pytorch.serve.job.Job;

/** One client's jobs of one priority in arrival order, and the client's deficit (RFC 8290) in this round. */
final class Flow {
    final String client;
    /** The deficit in bytes; the flow's turn ends when it is 0 or less. */
    long deficit;

    private final ArrayDeque<QueuedJob> jobs = new ArrayDeque<>(4);

    Flow(String client, long deficit) {
        this.client = client;
        this.deficit = deficit;
    }

    boolean isEmpty() {
        return jobs.isEmpty();
    }

    int size() {
        return jobs.size();
    }

    void add(QueuedJob job) {
        jobs.addLast(job);
    }

    /** Removes the oldest job and charges the flow its cost, at most {@code most}. */
    QueuedJob removeFirst(long most) {
        QueuedJob job = jobs.removeFirst();
        deficit -= Math.min(job.cost, most);
        return job;
    }

    QueuedJob removeLast() {
        return jobs.removeLast();
    }

    boolean contains(Job job) {
        return jobs.stream().anyMatch(queued -> queued.job == job);
    }
}
