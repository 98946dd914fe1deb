package onnxserve;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntToLongFunction;

/**
 * Simulates a queue and its workers in simulated time, with random arrivals (a Poisson process). Each worker
 * collects in its own thread, under the lock that the plugin puts in the place of TorchServe's.
 */
final class LoadedServer {
    static final long MS = TimeUnit.MILLISECONDS.toNanos(1);

    final AtomicLong clock = new AtomicLong(System.nanoTime());
    final BatchQueue queue;
    /** The duration of a batch by its number of jobs, in ns. */
    IntToLongFunction duration;
    /** Latencies of computed jobs, from arrival to answer, in ns. */
    final List<Long> times = new ArrayList<>();
    int offered;

    private final Random random = new Random(1);
    private final PriorityQueue<Event> events =
            new PriorityQueue<>((one, other) -> Long.compare(one.at - other.at, 0));
    private final Map<FakeJob, Long> underWay = new HashMap<>();
    private final ArrayDeque<ExecutorService> wanting = new ArrayDeque<>();
    /** Workers that wait for a job; the one that came last is first. */
    private final ArrayDeque<Turn> idle = new ArrayDeque<>();
    private final LastIdleFirst lock;
    private final int largest;

    LoadedServer(int capacity, long target, int workers, int largest, IntToLongFunction duration) {
        this.largest = largest;
        this.duration = duration;
        queue = new BatchQueue(capacity, target, () -> 1, () -> {}, clock::get);
        lock = new LastIdleFirst(queue);
        queue.workers(workers);
        for (int worker = 0; worker < workers; worker++) {
            wanting.add(Executors.newSingleThreadExecutor(task -> {
                Thread thread = new Thread(task);
                thread.setDaemon(true);
                return thread;
            }));
        }
    }

    /** Sends {@code perSecond} requests per second of {@code clients} clients for {@code ms}. */
    void run(double perSecond, int clients, long ms) {
        long end = clock.get() + ms * MS;
        schedule(gap(perSecond), () -> arrive(perSecond, clients, end));
        runUntil(end);
    }

    /** Resets the counts. */
    void reset() {
        times.clear();
        offered = 0;
    }

    /** Returns the 99th percentile of the latencies of computed jobs, in ns. */
    long p99() {
        Collections.sort(times);
        return times.get(times.size() * 99 / 100);
    }

    FakeJob send(String client, String priority) {
        return send(FakeJob.of(client, priority));
    }

    FakeJob send(FakeJob job) {
        offered++;
        underWay.put(job, clock.get());
        queue.offer(job);
        if (!idle.isEmpty()) {
            // The queue was empty, so the worker that came last takes this job.
            compute(idle.pop());
        }
        collect();
        return job;
    }

    private void arrive(double perSecond, int clients, long end) {
        send("client" + random.nextInt(clients), "normal");
        long gap = gap(perSecond);
        if (clock.get() + gap < end) {
            schedule(gap, () -> arrive(perSecond, clients, end));
        }
    }

    private long gap(double perSecond) {
        return (long) (-Math.log(1 - random.nextDouble()) / perSecond * 1e9);
    }

    void schedule(long nanos, Runnable action) {
        events.add(new Event(clock.get() + nanos, action));
    }

    private void runUntil(long end) {
        collect();
        while (!events.isEmpty() && events.peek().at - end <= 0) {
            Event event = events.remove();
            clock.set(event.at);
            event.action.run();
        }
        clock.set(end);
    }

    /** Lets free workers collect, or wait for jobs. */
    private void collect() {
        while (!wanting.isEmpty()) {
            AtomicReference<Thread> thread = new AtomicReference<>();
            ExecutorService worker = wanting.remove();
            Turn turn = new Turn(worker, worker.submit(() -> {
                thread.set(Thread.currentThread());
                return collectUnderLock();
            }));
            while (!turn.batch.isDone() && !waits(thread.get())) {
                Thread.onSpinWait();
            }
            if (turn.batch.isDone()) {
                compute(turn);
            } else {
                idle.push(turn);
            }
        }
    }

    private List<FakeJob> collectUnderLock() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            return Checks.collect(queue, largest);
        } finally {
            lock.unlock();
        }
    }

    private static boolean waits(Thread thread) {
        return thread != null && thread.getState() == Thread.State.WAITING;
    }

    private void compute(Turn turn) {
        List<FakeJob> jobs;
        try {
            jobs = turn.batch.get();
        } catch (InterruptedException | ExecutionException error) {
            throw new IllegalStateException(error);
        }
        long nanos = (long) (duration.applyAsLong(jobs.size()) * (0.8 + 0.4 * random.nextDouble()));
        schedule(nanos, () -> {
            jobs.forEach(job -> times.add(clock.get() - underWay.remove(job)));
            wanting.add(turn.worker);
            collect();
        });
    }

    /** A worker and the batch that it collects. */
    private static final class Turn {
        final ExecutorService worker;
        final Future<List<FakeJob>> batch;

        Turn(ExecutorService worker, Future<List<FakeJob>> batch) {
            this.worker = worker;
            this.batch = batch;
        }
    }

    private static final class Event {
        final long at;
        final Runnable action;

        Event(long at, Runnable action) {
            this.at = at;
            this.action = action;
        }
    }
}
