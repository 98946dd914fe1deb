package onnxserve;

import java.util.ArrayDeque;
import org.pytorch.serve.job.Job;

/** One client's jobs of one priority, in their order, and what it may still take in this round. */
final class Flow {
    final String client;
    /** In bytes; at most 0 ends the flow's turn. */
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

    /** The oldest job, charged with its cost or {@code most}, whichever is less. */
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
