package onnxserve;

import java.util.ArrayDeque;
import java.util.function.BiConsumer;
import java.util.function.Consumer;

/**
 * The jobs that wait for one model version: decides which jobs are accepted, which is next, and which are
 * dropped. Not thread-safe.
 *
 * <p>{@link Scheduler} defines the order, and {@link QueueLimit} the number of jobs that may wait. While
 * quiet clients wait for the batches of others ({@link Contention}), {@link ServiceTime} limits the batch
 * size, but each client whose turn it is still gets one job into the batch. A job's second try runs before
 * all other jobs, alone in its batch.
 */
final class Backlog {
    private final Scheduler scheduler = new Scheduler();
    private final ServiceTime serviceTime = new ServiceTime();
    private final Contention contention;
    private final QueueLimit limit;
    /** Jobs that failed once, in the order of their failures. */
    private final ArrayDeque<QueuedJob> again = new ArrayDeque<>();
    private int collected;
    private int expected = 1;

    Backlog(QueueLimit limit, long now) {
        this.limit = limit;
        this.contention = new Contention(now);
    }

    /**
     * Accepts a job. Returns the job that leaves for it (the arrival itself if none gives way), or null if
     * there is room.
     */
    QueuedJob add(QueuedJob arrival) {
        QueuedJob leaving = null;
        contention.asked(arrival);
        if (scheduler.size() >= limit.jobs()) {
            limit.refused(arrival.arrivedAt);
            leaving = scheduler.displace(arrival, limit.jobs(), contention::isQuiet);
        }
        if (leaving != arrival) {
            scheduler.add(arrival);
        }
        return leaving;
    }

    /** Returns a taken job to the queue unless that has happened already. It had room before, so no limit applies. */
    void putBack(QueuedJob job) {
        if (job.taken && job.failed) {
            again.addFirst(job);
        } else if (job.taken) {
            scheduler.putBack(job);
        }
        job.taken = false;
    }

    /** Gives a taken job a second try; returns false if it had one already. */
    boolean tryAgain(QueuedJob job, boolean workerEnded) {
        if (job.failed) {
            return false;
        }
        job.taken = false;
        job.failed = true;
        job.workerEnded = workerEnded;
        again.addLast(job);
        return true;
    }

    /** Records that a worker has finished its batch, if it had one. */
    void finish(Batch batch, long now) {
        if (!batch.jobs.isEmpty()) {
            // If the worker ended, its thread is back only once another worker has started.
            if (batch.isFirstTry()) {
                serviceTime.add(batch.jobs.size(), now - batch.collectedAt);
            }
            // A second try is late because the first one failed, so it doesn't measure the limit.
            batch.jobs.stream().filter(job -> !job.failed).forEach(job -> limit.answered(job.arrivedAt, now));
        }
        batch.finish();
    }

    /** Records that a worker begins its next batch, after workers had no jobs for {@code idle} ns. */
    void begin(Batch batch, long idle, long now) {
        if (!batch.finished) {
            finish(batch, now);
        }
        batch.finished = false;
        limit.waited(idle);
        limit.nextBatch(now);
        expected = Math.max(collected, 1);
        collected = 0;
    }

    /** Returns whether the batch has fewer jobs than the previous one. */
    boolean isMoreExpected() {
        return collected < expected;
    }

    /** Sets the number of workers that have loaded the model. */
    void workers(int ready, long now) {
        limit.workers(ready, now);
    }

    boolean hasSecondTries() {
        return !again.isEmpty();
    }

    /** Takes the next job for a second try; returns null if its client no longer waits. */
    QueuedJob secondTry(Batch batch, long now, BiConsumer<QueuedJob, Drop> dropped) {
        QueuedJob job = again.removeFirst();
        Drop reason = job.obsolete(now);
        if (reason != null) {
            dropped.accept(job, reason);
            return null;
        }
        return take(job, batch, 1, now);
    }

    /**
     * Takes the next job whose client still waits; returns null if the batch is full or the queue is empty.
     */
    QueuedJob next(Batch batch, long now, BiConsumer<QueuedJob, Drop> dropped) {
        while (true) {
            Priority priority = scheduler.next();
            if (priority == null || (batch.isFull() && contention.holds(priority, now))) {
                return null;
            }
            int clients = scheduler.clientsInTurn(priority);
            QueuedJob job = scheduler.take();
            Drop reason = obsolete(job, now);
            if (reason != null) {
                dropped.accept(job, reason);
                continue;
            }
            if (!batch.waited) {
                contention.waited(job, batch.previousClients, now);
            }
            return take(job, batch, Math.max(clients, serviceTime.limit()), now);
        }
    }

    private QueuedJob take(QueuedJob job, Batch batch, int most, long now) {
        batch.add(job, most, now);
        limit.taken();
        collected++;
        return job;
    }

    /**
     * Returns the reason to drop a job, or null. A late job is dropped only if other jobs wait and its client
     * isn't quiet.
     */
    private Drop obsolete(QueuedJob job, long now) {
        Drop reason = job.obsolete(now);
        if (reason == null && scheduler.size() > 0 && limit.late(job, now) && !contention.isQuiet(job.client)) {
            limit.overloaded(now);
            return Drop.LATE;
        }
        return reason;
    }

    /** Removes all jobs in their order. */
    void drain(Consumer<QueuedJob> sink) {
        again.forEach(sink);
        again.clear();
        scheduler.drain(sink);
    }

    int size() {
        return again.size() + scheduler.size();
    }

    /** Returns the number of jobs that wait for their first try. */
    int firstTries() {
        return scheduler.size();
    }

    /** Returns how many more jobs may wait. */
    int room() {
        return Math.max(0, limit.jobs() - scheduler.size());
    }

    /** Returns the members of a JSON object. */
    String json() {
        return String.format(
                "\"expected\":%d,\"queued\":%d,\"clients\":%d,\"limit\":%d,%s",
                expected, scheduler.size(), scheduler.clients(), serviceTime.limit(), limit.json());
    }
}
