package onnxserve;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntSupplier;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.pytorch.serve.job.Job;
import org.pytorch.serve.util.messages.WorkerCommands;

/**
 * A model version's queue. It extends TorchServe's queue type and overrides the methods that TorchServe
 * calls; the list of the superclass stays empty. This class handles threads and TorchServe's conventions;
 * {@link Backlog} holds the waiting jobs.
 *
 * <p>TorchServe collects a batch with one poll without a timeout, followed by polls that each wait up to
 * maxBatchDelay for a further job, even if there is only one client. Here a batch takes the jobs that queued
 * up during the previous batch, and waits only until it is as large as the previous batch. A lone request
 * therefore runs at once. With a maxBatchDelay of 1 ms, TorchServe's minimum, a batch never waits.
 *
 * <p>A job whose client no longer waits, or whose answer would be too late, is dropped when its turn comes,
 * before a worker sees it. A job whose worker ended gets a second try ({@link Attempt}) from a worker that is
 * alive according to the kernel. A worker that hasn't loaded its model gets no job.
 */
final class BatchQueue extends LinkedBlockingDeque<Job> {
    private static final long serialVersionUID = 1L;

    private final transient ReentrantLock lock = new ReentrantLock();
    private final transient ThreadLocal<Batch> batches = ThreadLocal.withInitial(Batch::new);
    private final transient Backlog backlog;
    private final transient IntSupplier maxBatchDelay;
    private final transient LongSupplier clock;
    private final transient DropCounters drops;
    private final transient Poison poison = new Poison();
    private final transient IdleWorkers idle;
    private boolean open = true;
    private boolean outage;

    /**
     * {@code target} is in ns, 0 for none; {@code maxBatchDelay} is in ms. {@code onDrop} runs for each job
     * that leaves without being computed. {@code clock} is {@link System#nanoTime}.
     */
    BatchQueue(int capacity, long target, IntSupplier maxBatchDelay, Runnable onDrop, LongSupplier clock) {
        this.maxBatchDelay = maxBatchDelay;
        this.clock = clock;
        this.drops = new DropCounters(onDrop);
        this.idle = new IdleWorkers(lock, clock);
        long now = clock.getAsLong();
        this.backlog = new Backlog(new QueueLimit(capacity, target, now), now);
    }

    /**
     * Returns false if the queue is closed; TorchServe then answers as for a model without workers. If the
     * queue is full and no other client has more jobs in it, the job is refused here with an answer that
     * gives the reason.
     */
    @Override
    public boolean offer(Job job) {
        QueuedJob arrival = new QueuedJob(job, clock.getAsLong());
        Drop reason = poison.refusal(arrival, arrival.arrivedAt);
        if (reason != null) {
            drops.drop(arrival, reason);
            return true;
        }
        QueuedJob leaving;
        lock.lock();
        try {
            if (!open) {
                return false;
            }
            leaving = outage ? arrival : backlog.add(arrival);
            reason = outage ? Drop.NO_WORKER : leaving == arrival ? Drop.REFUSED : Drop.DISPLACED;
            idle.wake();
        } finally {
            lock.unlock();
        }
        if (leaving != null) {
            drops.drop(leaving, reason);
        }
        return true;
    }

    /** Sets the number of workers that have loaded the model. */
    void workers(int ready) {
        locked(() -> backlog.workers(ready, clock.getAsLong()));
    }

    /**
     * Sets whether all workers fail to load the model and none has it. During such an outage, waiting and
     * arriving jobs are answered at once. A worker that ended and restarts causes no outage and costs no
     * client its answer.
     */
    void outage(boolean is) {
        List<QueuedJob> waiting = new ArrayList<>(0);
        locked(() -> {
            outage = is;
            if (is) {
                backlog.drain(waiting::add);
            }
        });
        waiting.forEach(job -> drops.drop(job, Drop.NO_WORKER));
    }

    private void locked(Runnable action) {
        lock.lock();
        try {
            action.run();
        } finally {
            lock.unlock();
        }
    }

    private <T> T locked(Supplier<T> value) {
        lock.lock();
        try {
            return value.get();
        } finally {
            lock.unlock();
        }
    }

    /** Returns a taken job to the queue. It had room before, so no limit applies. */
    @Override
    public void addFirst(Job job) {
        if (job instanceof Attempt) {
            putBack(List.of(((Attempt) job).queued));
            return;
        }
        QueuedJob returned = new QueuedJob(job, clock.getAsLong());
        returned.taken = true;
        putBack(List.of(returned));
    }

    private void putBack(Collection<QueuedJob> jobs) {
        locked(() -> {
            jobs.forEach(backlog::putBack);
            idle.wake();
        });
    }

    /** Returns whether a failed job gets a second try, so that it needs no answer yet; each job gets one. */
    boolean tryAgain(QueuedJob job, boolean workerEnded) {
        return locked(() -> {
            if (!job.taken) {
                return true; // another thread of TorchServe, which scales down, has put it back
            }
            boolean again = open && backlog.tryAgain(job, workerEnded);
            idle.wake();
            return again;
        });
    }

    /** Records that a second worker ended with the job. */
    void endedAgain(QueuedJob job) {
        poison.add(job, clock.getAsLong());
    }

    /** Waits until there is a job for this thread, which has finished its previous batch. */
    void awaitJob() throws InterruptedException {
        Worker.checkReady();
        Batch batch = batches.get();
        lock.lockInterruptibly();
        try {
            backlog.finish(batch, clock.getAsLong());
            batch.waited = idle.awaitJob(() -> backlog.size() > 0);
        } finally {
            lock.unlock();
        }
    }

    /** Wakes another thread if there are jobs. */
    void passOn() {
        locked(() -> {
            if (backlog.size() > 0) {
                idle.wake();
            }
        });
    }

    @Override
    public Job poll(long timeout, TimeUnit unit) throws InterruptedException {
        Batch batch = batches.get();
        if (timeout == Long.MAX_VALUE) {
            Worker.checkReady();
            locked(() -> backlog.begin(batch, idle.idleTime(), clock.getAsLong()));
        } else if (batch.isAlone()) {
            return null;
        }
        boolean waits = batch.jobs.isEmpty() || (backlog.isMoreExpected() && maxBatchDelay.getAsInt() > 1);
        try {
            return poll(batch, waits ? unit.toNanos(timeout) : 0);
        } catch (InterruptedException death) {
            // The worker died or is about to stop; TorchServe forgets the batch that its thread was collecting.
            putBack(batch.jobs);
            batch.jobs.clear();
            throw death;
        }
    }

    private Job poll(Batch batch, long timeout) throws InterruptedException {
        long nanos = timeout;
        while (true) {
            List<Runnable> dropped = new ArrayList<>(0);
            QueuedJob job;
            lock.lockInterruptibly();
            try {
                job = take(batch, dropped);
                if (job == null && dropped.isEmpty()) {
                    if (nanos <= 0 || backlog.firstTries() > 0) {
                        return null;
                    }
                    nanos = idle.awaitFurther(nanos);
                    batch.waitedUntil(clock.getAsLong());
                }
            } finally {
                lock.unlock();
            }
            dropped.forEach(Runnable::run);
            if (job != null) {
                return job.job.getCmd() == WorkerCommands.PREDICT ? new Attempt(job, batch, this) : job.job;
            }
        }
    }

    /**
     * Takes a job; refuses a second try to a worker that has ended and whose thread TorchServe is about to
     * interrupt.
     */
    private QueuedJob take(Batch batch, List<Runnable> dropped) throws InterruptedException {
        long now = clock.getAsLong();
        if (!batch.jobs.isEmpty() || !backlog.hasSecondTries()) {
            return backlog.next(batch, now, (job, reason) -> dropped.add(() -> drops.drop(job, reason)));
        }
        if (!Worker.isAlive()) {
            idle.wake();
            throw new InterruptedException("the worker has ended");
        }
        return backlog.secondTry(batch, now, (job, reason) -> dropped.add(() -> drops.drop(job, reason)));
    }

    /** Takes the next job without a batch. */
    @Override
    public Job poll() {
        List<Runnable> dropped = new ArrayList<>(0);
        QueuedJob next;
        lock.lock();
        try {
            long now = clock.getAsLong();
            next = backlog.next(new Batch(), now, (job, why) -> dropped.add(() -> drops.drop(job, why)));
        } finally {
            lock.unlock();
        }
        dropped.forEach(Runnable::run);
        return next == null ? null : next.job;
    }

    /** Closes the queue; waiting jobs are answered that their model was unregistered. */
    void close() {
        List<QueuedJob> rest = new ArrayList<>();
        locked(() -> {
            open = false;
            backlog.drain(rest::add);
        });
        rest.forEach(job -> drops.drop(job, Drop.UNREGISTERED));
    }

    /** Opens the queue again if its model couldn't be unregistered. */
    void reopen() {
        locked(() -> open = true);
    }

    @Override
    public int size() {
        return locked(backlog::size);
    }

    @Override
    public boolean isEmpty() {
        return size() == 0;
    }

    @Override
    public int remainingCapacity() {
        return locked(backlog::room);
    }

    /** Returns the members of a JSON object. */
    String json() {
        return locked(() -> backlog.json() + "," + drops.json());
    }
}
