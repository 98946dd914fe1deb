package onnxserve;

import java.util.ArrayDeque;
import java.util.function.BiConsumer;
import java.util.function.Consumer;

/**
 * The jobs that wait for one model version: which is taken in, which comes next, which leave without being
 * computed. Not thread-safe.
 *
 * <p>The order is {@link Scheduler}'s. No more jobs may wait than {@link QueueLimit} says. While quiet clients
 * wait for others' batches ({@link Contention}), a batch is no larger than {@link ServiceTime} says, but has a
 * job of each client whose turn it is. A job that has a second try goes before all others, alone.
 */
final class Backlog {
    private final Scheduler scheduler = new Scheduler();
    private final ServiceTime serviceTime = new ServiceTime();
    private final Contention contention;
    private final QueueLimit limit;
    /** Jobs that failed once, the first of them at the head. */
    private final ArrayDeque<QueuedJob> again = new ArrayDeque<>();
    private int collected;
    private int expected = 1;
    private long idle;

    Backlog(QueueLimit limit, long now) {
        this.limit = limit;
        this.contention = new Contention(now);
    }

    /** Takes a job in; the one that leaves for it, which is itself if none gives way to it; null if there is room. */
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

    /** Puts a job back that was taken, unless somebody else did already. It finds room: it had some before. */
    void putBack(QueuedJob job) {
        if (job.taken && job.failed) {
            again.addFirst(job);
        } else if (job.taken) {
            scheduler.putBack(job);
        }
        job.taken = false;
    }

    /** Gives a job that was taken a second try; false if it had one. */
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

    /** A worker is done with its batch, if it had one, and comes for the next. */
    void begin(Batch batch, long now) {
        if (!batch.jobs.isEmpty() && batch.idle == idle) {
            serviceTime.add(batch.jobs.size(), now - batch.lastTakenAt);
            // A second try is late because the first one failed: that says nothing about how many may wait.
            batch.jobs.stream().filter(job -> !job.failed).forEach(job -> limit.answered(job.arrivedAt, now));
        }
        limit.nextBatch(now);
        batch.begin();
        expected = Math.max(collected, 1);
        collected = 0;
    }

    /** The batch has fewer jobs than the one before it. */
    boolean isMoreExpected() {
        return collected < expected;
    }

    /** A worker waits for jobs. */
    void idles() {
        idle++;
    }

    /** It has waited so long, in ns. */
    void waited(long nanos) {
        limit.waited(nanos);
    }

    /** So many workers have loaded the model. */
    void workers(int ready, long now) {
        limit.workers(ready, now);
    }

    boolean hasSecondTries() {
        return !again.isEmpty();
    }

    /** The next job that has a second try; null when nobody waits for it any more. */
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
     * The next job that somebody waits for; null when the batch has enough or the queue is empty. {@code waited}
     * if the worker had to wait for it.
     */
    QueuedJob next(Batch batch, boolean waited, long now, BiConsumer<QueuedJob, Drop> dropped) {
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
            if (!waited) {
                contention.waited(job, batch.previousClients, now);
            }
            return take(job, batch, Math.max(clients, serviceTime.limit()), now);
        }
    }

    private QueuedJob take(QueuedJob job, Batch batch, int most, long now) {
        batch.add(job, most, now, idle);
        limit.taken();
        collected++;
        return job;
    }

    /** Why a job isn't computed, or null. One that is late goes only if others wait, and not for others' flood. */
    private Drop obsolete(QueuedJob job, long now) {
        Drop reason = job.obsolete(now);
        if (reason == null && scheduler.size() > 0 && limit.late(job, now) && !contention.isQuiet(job.client)) {
            limit.overloaded(now);
            return Drop.LATE;
        }
        return reason;
    }

    /** Takes all jobs, in their order. */
    void drain(Consumer<QueuedJob> sink) {
        again.forEach(sink);
        again.clear();
        scheduler.drain(sink);
    }

    int size() {
        return again.size() + scheduler.size();
    }

    /** Jobs that have their first try before them. */
    int firstTries() {
        return scheduler.size();
    }

    /** Jobs that may still come. */
    int room() {
        return Math.max(0, limit.jobs() - scheduler.size());
    }

    /** Members of a JSON object. */
    String json() {
        return String.format(
                "\"expected\":%d,\"queued\":%d,\"clients\":%d,\"limit\":%d,%s",
                expected, scheduler.size(), scheduler.clients(), serviceTime.limit(), limit.json());
    }
}
