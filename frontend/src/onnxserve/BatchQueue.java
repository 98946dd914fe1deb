package onnxserve;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntSupplier;
import java.util.function.LongSupplier;
import org.pytorch.serve.job.Job;
import org.pytorch.serve.util.messages.WorkerCommands;

/**
 * A model version's queue: the type is TorchServe's, what TorchServe calls is overridden, and the list
 * beneath stays empty.
 *
 * <p>TorchServe collects a batch with one poll that waits for ever, then polls that wait up to
 * maxBatchDelay for each further job, also when there is one client only. Here a batch takes what has
 * queued up while the batch before it ran, in the order of {@link Scheduler}, and waits only until it is
 * as large as that one: a lone request goes at once. With a maxBatchDelay of 1 ms, the least that
 * TorchServe takes, it never waits. While quiet clients wait for others' batches ({@link Contention}),
 * a batch is no larger than {@link ServiceTime} says, but has a job of each client whose turn it is.
 *
 * <p>No more jobs may wait than {@link QueueLimit} says. Jobs that nobody waits for any more, or that would
 * be answered too late, are dropped when their turn comes, before a worker sees them. A job that a worker
 * took with it when it ended gets a second try ({@link Attempt}), before all others, alone, and from a worker
 * that the kernel says is alive. A worker that hasn't loaded its model gets no job.
 */
final class BatchQueue extends LinkedBlockingDeque<Job> {
    private static final long serialVersionUID = 1L;

    private final transient ReentrantLock lock = new ReentrantLock();
    private final transient Condition notEmpty = lock.newCondition();
    private final transient ThreadLocal<Batch> batches = ThreadLocal.withInitial(Batch::new);
    private final transient Contention contention;
    private final transient ServiceTime serviceTime = new ServiceTime();
    private final transient Scheduler scheduler = new Scheduler();
    private final transient QueueLimit limit;
    /** Jobs that failed once, the first of them at the head. */
    private final transient ArrayDeque<QueuedJob> again = new ArrayDeque<>();
    private final transient IntSupplier maxBatchDelay;
    private final transient LongSupplier clock;
    private final transient DropCounters drops;
    private int collected;
    private int expected = 1;
    private long idle;
    private boolean open = true;

    /**
     * {@code target} in ns, 0 for none; {@code maxBatchDelay} in ms; {@code onDrop} runs for each job that
     * leaves without being computed; {@code clock} is {@link System#nanoTime}.
     */
    BatchQueue(int capacity, long target, IntSupplier maxBatchDelay, Runnable onDrop, LongSupplier clock) {
        this.maxBatchDelay = maxBatchDelay;
        this.clock = clock;
        this.contention = new Contention(clock.getAsLong());
        this.drops = new DropCounters(onDrop);
        this.limit = new QueueLimit(capacity, target, clock.getAsLong());
    }

    /**
     * False, which TorchServe answers like a model without workers, when the queue is closed. A job that
     * finds the queue full of others with no more than its client is answered here: the answer says why.
     */
    @Override
    public boolean offer(Job job) {
        QueuedJob arrival = new QueuedJob(job, clock.getAsLong());
        QueuedJob leaving = null;
        lock.lock();
        try {
            if (!open) {
                return false;
            }
            contention.asked(arrival);
            if (scheduler.size() >= limit.jobs()) {
                limit.refused();
                leaving = scheduler.displace(arrival, limit.jobs(), contention::isQuiet);
            }
            if (leaving != arrival) {
                scheduler.add(arrival);
                notEmpty.signal();
            }
        } finally {
            lock.unlock();
        }
        if (leaving != null) {
            drops.drop(leaving, leaving == arrival ? Drop.REFUSED : Drop.DISPLACED);
        }
        return true;
    }

    /** So many workers have loaded the model. */
    void workers(int ready) {
        locked(() -> limit.workers(ready, clock.getAsLong()));
    }

    private void locked(Runnable action) {
        lock.lock();
        try {
            action.run();
        } finally {
            lock.unlock();
        }
    }

    private int counted(IntSupplier count) {
        lock.lock();
        try {
            return count.getAsInt();
        } finally {
            lock.unlock();
        }
    }

    /** Puts a job back that was taken. It always finds room: it had some before. */
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
            for (QueuedJob job : jobs) {
                if (job.taken && job.failed) {
                    again.addFirst(job);
                } else if (job.taken) {
                    scheduler.putBack(job);
                }
                job.taken = false;
            }
            notEmpty.signal();
        });
    }

    /** Whether a job whose try failed needs no answer yet: each gets one try more. */
    boolean tryAgain(QueuedJob job, boolean workerEnded) {
        lock.lock();
        try {
            if (!job.taken) {
                return true; // TorchServe, which scales down meanwhile, has put it back in another thread
            }
            if (job.failed || !open) {
                return false;
            }
            job.taken = false;
            job.failed = true;
            job.workerEnded = workerEnded;
            again.addLast(job);
            notEmpty.signal();
            return true;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public Job poll(long timeout, TimeUnit unit) throws InterruptedException {
        Batch batch = batches.get();
        if (timeout == Long.MAX_VALUE) {
            if (!Worker.isReady()) {
                throw new InterruptedException("the worker has no model");
            }
            begin(batch);
        } else if (batch.isAlone()) {
            return null;
        }
        boolean waits = batch.jobs.isEmpty() || (collected < expected && maxBatchDelay.getAsInt() > 1);
        try {
            return poll(batch, waits ? unit.toNanos(timeout) : 0);
        } catch (InterruptedException death) {
            // The worker died or is to end: TorchServe forgets the batch that its thread was collecting.
            putBack(batch.jobs);
            batch.jobs.clear();
            throw death;
        }
    }

    private void begin(Batch batch) {
        long now = clock.getAsLong();
        locked(() -> {
            if (!batch.jobs.isEmpty() && batch.idle == idle) {
                serviceTime.add(batch.jobs.size(), now - batch.lastTakenAt);
                batch.jobs.forEach(job -> limit.answered(job.arrivedAt, now));
            }
            limit.nextBatch(now);
            batch.begin();
            expected = Math.max(collected, 1);
            collected = 0;
        });
    }

    private Job poll(Batch batch, long timeout) throws InterruptedException {
        long nanos = timeout;
        boolean waited = false;
        while (true) {
            List<Runnable> dropped = new ArrayList<>(0);
            QueuedJob job;
            lock.lockInterruptibly();
            try {
                job = batch.jobs.isEmpty() && !again.isEmpty() ? second(batch, dropped) : next(batch, waited, dropped);
                if (job == null && dropped.isEmpty()) {
                    if (nanos <= 0 || scheduler.size() > 0) {
                        return null;
                    }
                    waited = true;
                    idle++;
                    long since = clock.getAsLong();
                    nanos = notEmpty.awaitNanos(nanos);
                    limit.waited(clock.getAsLong() - since);
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
     * The next job that has a second try; null when nobody waits for it any more. It isn't given to a worker
     * that has ended, whose thread TorchServe is about to interrupt.
     */
    private QueuedJob second(Batch batch, List<Runnable> dropped) throws InterruptedException {
        if (!Worker.isAlive()) {
            notEmpty.signal();
            throw new InterruptedException("the worker has ended");
        }
        QueuedJob job = again.removeFirst();
        long now = clock.getAsLong();
        Drop reason = job.obsolete(now);
        if (reason != null) {
            dropped.add(() -> drops.drop(job, reason));
            return null;
        }
        batch.add(job, 1, now, idle);
        limit.taken();
        collected++;
        return job;
    }

    /** The next job of any batch. */
    @Override
    public Job poll() {
        List<Runnable> dropped = new ArrayList<>(0);
        QueuedJob job;
        lock.lock();
        try {
            job = next(new Batch(), false, dropped);
        } finally {
            lock.unlock();
        }
        dropped.forEach(Runnable::run);
        return job == null ? null : job.job;
    }

    /** The next job that somebody waits for; null when the batch has enough or the queue is empty. */
    private QueuedJob next(Batch batch, boolean waited, List<Runnable> dropped) {
        long now = clock.getAsLong();
        while (true) {
            Priority priority = scheduler.next();
            if (priority == null || (batch.isFull() && contention.holds(priority, now))) {
                return null;
            }
            int clients = scheduler.clientsInTurn(priority);
            QueuedJob job = scheduler.take();
            Drop reason = obsolete(job, now);
            if (reason != null) {
                dropped.add(() -> drops.drop(job, reason));
                continue;
            }
            if (!waited) {
                contention.waited(job, batch.previous, now);
            }
            batch.add(job, Math.max(clients, serviceTime.limit()), now, idle);
            limit.taken();
            collected++;
            return job;
        }
    }

    /** Why a job isn't computed, or null. One that is late goes only if others wait. */
    private Drop obsolete(QueuedJob job, long now) {
        Drop reason = job.obsolete(now);
        return reason == null && scheduler.size() > 0 && limit.late(job, now) ? Drop.LATE : reason;
    }

    /** Takes no jobs any more; those that wait are answered that their model is gone. */
    void close() {
        List<QueuedJob> rest = new ArrayList<>();
        locked(() -> {
            open = false;
            rest.addAll(again);
            again.clear();
            scheduler.drain(rest::add);
        });
        rest.forEach(job -> drops.drop(job, Drop.UNREGISTERED));
    }

    /** Takes jobs again: its model couldn't be unregistered. */
    void reopen() {
        locked(() -> open = true);
    }

    @Override
    public int size() {
        return counted(() -> again.size() + scheduler.size());
    }

    @Override
    public boolean isEmpty() {
        return size() == 0;
    }

    @Override
    public int remainingCapacity() {
        return counted(() -> Math.max(0, limit.jobs() - scheduler.size()));
    }

    /** Members of a JSON object. */
    String json() {
        lock.lock();
        try {
            return String.format(
                    "\"expected\":%d,\"queued\":%d,\"clients\":%d,\"limit\":%d,%s,%s",
                    expected, scheduler.size(), scheduler.clients(), serviceTime.limit(), limit.json(), drops.json());
        } finally {
            lock.unlock();
        }
    }
}
