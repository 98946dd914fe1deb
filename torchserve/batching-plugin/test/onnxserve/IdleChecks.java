package onnxserve;

import static onnxserve.Checks.check;
import static onnxserve.Checks.equal;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/** Which of the workers that wait gets the next job. */
final class IdleChecks {
    private static final long DEADLINE_S = 60;

    private IdleChecks() {}

    /** A thread that collects one job under the lock, and computes until it gets a permit. */
    private static final class Collector extends Thread {
        final BlockingQueue<Integer> sizes = new LinkedBlockingQueue<>();
        final Semaphore finish = new Semaphore(0);
        private final BatchQueue queue;
        private final LastIdleFirst lock;

        Collector(BatchQueue queue, LastIdleFirst lock) {
            this.queue = queue;
            this.lock = lock;
            setDaemon(true);
        }

        @Override
        public void run() {
            try {
                while (true) {
                    lock.lockInterruptibly();
                    try {
                        sizes.add(Checks.collect(queue, 1).size());
                    } finally {
                        lock.unlock();
                    }
                    finish.acquire();
                }
            } catch (InterruptedException end) {
                Thread.currentThread().interrupt();
            }
        }

        /** Waits until the thread waits for a job. */
        Collector waits() throws InterruptedException {
            until(() -> getState() == State.WAITING && finish.availablePermits() == 0);
            return this;
        }

        void got(int jobs) throws InterruptedException {
            equal(jobs, sizes.poll(DEADLINE_S, TimeUnit.SECONDS));
        }
    }

    private interface Condition {
        boolean holds();
    }

    private static void until(Condition condition) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(DEADLINE_S);
        while (!condition.holds()) {
            check(System.nanoTime() < end, "it didn't happen");
            Thread.sleep(1);
        }
    }

    /** Threads that wait for jobs of a queue, in the order in which they came. */
    private static List<Collector> waiting(BatchQueue queue, int threads) throws InterruptedException {
        LastIdleFirst lock = new LastIdleFirst(queue);
        List<Collector> collectors = new ArrayList<>();
        for (int number = 0; number < threads; number++) {
            Collector collector = new Collector(queue, lock);
            collector.start();
            collectors.add(collector.waits());
        }
        return collectors;
    }

    static void theWorkerThatCameLastGetsTheNextJob() throws InterruptedException {
        BatchQueue queue = Checks.queue(10);
        List<Collector> workers = waiting(queue, 3);
        for (int request = 0; request < 20; request++) {
            queue.offer(FakeJob.of("a"));
            workers.get(2).got(1);
            workers.get(2).finish.release();
            workers.get(2).waits();
        }
        queue.offer(FakeJob.of("a"));
        workers.get(2).got(1);
        // The third computes: the second is next, and the first is still unused.
        queue.offer(FakeJob.of("a"));
        workers.get(1).got(1);
        check(workers.get(0).sizes.isEmpty(), "the first got a job");
    }

    static void jobsThatDoNotFitIntoABatchWakeTheNextWorkers() throws InterruptedException {
        BatchQueue queue = Checks.queue(10);
        List<Collector> workers = waiting(queue, 3);
        for (int job = 0; job < 3; job++) {
            queue.offer(FakeJob.of("a"));
        }
        for (Collector worker : workers) {
            worker.got(1);
        }
    }

    static void aWorkerThatEndsWhileItWaitsLeavesTheJobToAnother() throws InterruptedException {
        BatchQueue queue = Checks.queue(10);
        List<Collector> workers = waiting(queue, 2);
        workers.get(1).interrupt();
        workers.get(1).join();
        queue.offer(FakeJob.of("a"));
        workers.get(0).got(1);
    }

    static void aWorkerThatIsInterruptedWhenAJobComesLeavesItToAnother() throws InterruptedException {
        for (int attempt = 0; attempt < 200; attempt++) {
            BatchQueue queue = Checks.queue(10);
            List<Collector> workers = waiting(queue, 2);
            Thread death = new Thread(workers.get(1)::interrupt);
            death.start();
            queue.offer(FakeJob.of("a"));
            until(() -> !workers.get(0).sizes.isEmpty() || !workers.get(1).sizes.isEmpty());
            death.join();
            workers.get(0).interrupt();
        }
    }

    static void aLockForWhichAThreadWaitsStays() throws InterruptedException {
        BatchQueue queue = Checks.queue(10);
        ReentrantLock before = new ReentrantLock();
        before.lock();
        check(LastIdleFirst.inPlaceOf(before, queue) instanceof LastIdleFirst, "nobody waits, and the lock stays");
        Thread early = new Thread(before::lock);
        early.setDaemon(true);
        early.start();
        until(before::hasQueuedThreads);
        check(LastIdleFirst.inPlaceOf(before, queue) == before, "the thread would keep the lock that it waits for");
    }

    static void timeCountsOnceHoweverManyWorkersAreIdle() throws InterruptedException {
        ReentrantLock lock = new ReentrantLock();
        AtomicLong clock = new AtomicLong();
        IdleWorkers idle = new IdleWorkers(lock, clock::get);
        lock.lock();
        equal(0L, idle.idleTime());
        lock.unlock();
        for (long time = 10; time <= 30; time += 20) {
            Thread thread = new Thread(() -> {
                lock.lock();
                try {
                    idle.awaitJob(() -> false);
                } catch (InterruptedException end) {
                    Thread.currentThread().interrupt();
                } finally {
                    lock.unlock();
                }
            });
            thread.setDaemon(true);
            clock.set(time);
            thread.start();
            until(() -> thread.getState() == Thread.State.WAITING);
        }
        lock.lock();
        try {
            equal(20L, idle.idleTime());
            clock.set(70);
            equal(40L, idle.idleTime());
            equal(0L, idle.idleTime());
        } finally {
            lock.unlock();
        }
    }

    static void onlyTheFirstJobOfABatchIsOneThatAWorkerWaitedFor() {
        Batch batch = new Batch();
        batch.finish();
        batch.waited = true;
        batch.add(new QueuedJob(FakeJob.of("a"), 0), 2, 0);
        check(!batch.waited, "the worker waited for the second job");
    }
}
