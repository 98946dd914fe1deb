package onnxserve;

import java.util.ArrayList;
import java.util.List;

/** What one worker's thread has collected since it last began, until it begins again. */
final class Batch {
    final List<QueuedJob> jobs = new ArrayList<>();
    /** The client of each job that it had collected before; the jobs themselves would keep their bodies in memory. */
    final List<String> previousClients = new ArrayList<>();
    long lastTakenAt;
    /** How often threads had waited for jobs by then: a change means that the time since isn't all a worker's. */
    long idle;

    private int limit;

    void begin() {
        previousClients.clear();
        jobs.forEach(job -> previousClients.add(job.client));
        jobs.clear();
    }

    /** {@code limit}, of the first job, is how many it may have while quiet clients wait for others' batches. */
    void add(QueuedJob job, int limit, long now, long idle) {
        if (jobs.isEmpty()) {
            this.limit = limit;
        }
        job.taken = true;
        jobs.add(job);
        lastTakenAt = now;
        this.idle = idle;
    }

    /** Its only job is one that failed beside others, or took a worker with it. */
    boolean isAlone() {
        return !jobs.isEmpty() && jobs.get(0).failed;
    }

    boolean isFull() {
        return !jobs.isEmpty() && jobs.size() >= limit;
    }
}
