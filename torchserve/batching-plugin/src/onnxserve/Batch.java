package onnxserve;

import java.util.ArrayList;
import java.util.List;

/** The jobs that one worker's thread has collected for its current batch. */
final class Batch {
    final List<QueuedJob> jobs = new ArrayList<>();
    /** The client of each job in the previous batch; keeping the jobs would keep their bodies in memory. */
    final List<String> previousClients = new ArrayList<>();
    /** When the last job was taken, or the wait for a further one ended: the worker computes from then on. */
    long collectedAt;
    /** Whether the worker had to wait for the job that is taken next. */
    boolean waited;
    /** Whether the worker has finished the batch and waits for the next one. */
    boolean finished;

    private int limit;

    void finish() {
        previousClients.clear();
        jobs.forEach(job -> previousClients.add(job.client));
        jobs.clear();
        finished = true;
        waited = false;
    }

    /** The first job's {@code limit} is the maximum batch size while quiet clients wait for the batches of others. */
    void add(QueuedJob job, int limit, long now) {
        if (jobs.isEmpty()) {
            this.limit = limit;
        }
        job.taken = true;
        jobs.add(job);
        collectedAt = now;
        waited = false;
    }

    /** Records that the worker waited until {@code now}, in vain or not. */
    void waitedUntil(long now) {
        collectedAt = now;
        waited = true;
    }

    /** Returns whether all jobs were computed at their first try, so that the batch tells how long it takes. */
    boolean isFirstTry() {
        return jobs.stream().noneMatch(job -> job.failed);
    }

    /** Returns whether the batch is a second try, which runs alone. */
    boolean isAlone() {
        return !jobs.isEmpty() && jobs.get(0).failed;
    }

    boolean isFull() {
        return !jobs.isEmpty() && jobs.size() >= limit;
    }
}
