package onnxserve;

import java.util.concurrent.locks.ReentrantLock;

/**
 * The lock under which TorchServe's threads collect a batch from a {@link BatchQueue}. TorchServe's own lock is
 * held by the thread that waits for a job, so that the worker which has just finished is always the last to get
 * another: requests of a single client go to all workers in turn, and each finds its caches cold. Here a thread
 * waits before it takes the lock, and the thread that came last goes first.
 */
final class LastIdleFirst extends ReentrantLock {
    private static final long serialVersionUID = 1L;

    private final transient BatchQueue queue;

    LastIdleFirst(BatchQueue queue) {
        this.queue = queue;
    }

    /**
     * Returns the lock for a queue in place of TorchServe's, which the caller holds; that lock itself if threads
     * already wait for it. TorchServe unlocks the lock that the model has then, so such a thread would never leave
     * the old one to the others.
     */
    static ReentrantLock inPlaceOf(ReentrantLock before, BatchQueue queue) {
        return before.hasQueuedThreads() ? before : new LastIdleFirst(queue);
    }

    @Override
    public void lockInterruptibly() throws InterruptedException {
        try {
            queue.awaitJob();
            super.lockInterruptibly();
        } catch (InterruptedException end) {
            queue.passOn();
            throw end;
        }
    }

    /** Leaves the jobs that don't fit into the batch to the next thread. */
    @Override
    public void unlock() {
        super.unlock();
        queue.passOn();
    }
}
