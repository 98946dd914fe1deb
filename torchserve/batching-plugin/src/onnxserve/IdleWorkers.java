package onnxserve;

import java.util.ArrayDeque;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;

/**
 * The threads of workers that wait for a job. The thread that came last gets the next job: its worker's memory
 * is still in the processor's caches, and its core is awake. All methods need the queue's lock.
 */
final class IdleWorkers {
    private final ReentrantLock lock;
    private final LongSupplier clock;
    /** One condition per thread, the last that came first. */
    private final ArrayDeque<Condition> waiting = new ArrayDeque<>(4);
    /** The collecting thread, which waits for its first job or for further ones. */
    private final Condition collecting;
    private int idle;
    private long since;
    private long total;

    /** {@code clock} is in ns. */
    IdleWorkers(ReentrantLock lock, LongSupplier clock) {
        this.lock = lock;
        this.clock = clock;
        this.collecting = lock.newCondition();
    }

    /** Waits until there is a job. Returns whether it had to wait. */
    boolean awaitJob(BooleanSupplier hasJob) throws InterruptedException {
        if (hasJob.getAsBoolean()) {
            return false;
        }
        Condition turn = lock.newCondition();
        waiting.push(turn);
        enter();
        try {
            do {
                turn.await();
            } while (!hasJob.getAsBoolean());
            return true;
        } finally {
            leave();
            waiting.remove(turn);
        }
    }

    /** Waits as the collecting thread for a further job, at most {@code nanos}. Returns the time left. */
    long awaitFurther(long nanos) throws InterruptedException {
        enter();
        try {
            return collecting.awaitNanos(nanos);
        } finally {
            leave();
        }
    }

    private void enter() {
        if (idle++ == 0) {
            since = clock.getAsLong();
        }
    }

    private void leave() {
        count();
        idle--;
    }

    private void count() {
        if (idle > 0) {
            long now = clock.getAsLong();
            total += now - since;
            since = now;
        }
    }

    /** Returns for how many ns since the last call at least one worker was idle. */
    long idleTime() {
        count();
        long time = total;
        total = 0;
        return time;
    }

    /** Wakes the thread that collects a batch, if it waits, otherwise the thread that came last. */
    void wake() {
        if (lock.hasWaiters(collecting)) {
            collecting.signal();
        } else if (!waiting.isEmpty()) {
            waiting.peek().signal();
        }
    }
}
