package onnxserve;

import static onnxserve.Checks.check;
import static onnxserve.Checks.equal;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import org.pytorch.serve.job.Job;

/** Many threads, as in TorchServe: some offer jobs; workers collect under the model's lock and may die. */
final class ThreadChecks {
    private static final int CLIENTS = 4;
    private static final int JOBS = 20_000;

    private ThreadChecks() {}

    static void aWorkerThatIsInterruptedLeavesItsBatchToOthersInOrder() throws InterruptedException {
        BatchQueue queue = new BatchQueue(10, 0, () -> (int) TimeUnit.HOURS.toMillis(1), () -> {}, System::nanoTime);
        List<FakeJob> jobs = List.of(FakeJob.of("a"), FakeJob.of("a"), FakeJob.of("a"));
        jobs.forEach(queue::offer);
        equal(3, Checks.collect(queue, 3).size());
        jobs = List.of(FakeJob.of("a"), FakeJob.of("a"));
        jobs.forEach(queue::offer);
        // The worker has two of the three jobs that it expects.
        Thread worker = new Thread(() -> {
            try {
                Checks.collect(queue, 3, TimeUnit.HOURS.toMillis(1));
            } catch (InterruptedException death) {
                Thread.currentThread().interrupt();
            }
        });
        worker.start();
        while (queue.size() > 0) {
            Thread.onSpinWait();
        }
        worker.interrupt();
        worker.join();
        // TorchServe also puts back such a job when it scales a worker down.
        queue.addFirst(jobs.get(1));
        equal(2, queue.size());
        check(queue.poll() == jobs.get(0), "the first isn't first");
        check(queue.poll() == jobs.get(1), "the second isn't second");
    }

    static void nothingIsLostOrServedTwice() throws InterruptedException {
        AtomicInteger dropped = new AtomicInteger();
        BatchQueue queue = new BatchQueue(300, TimeUnit.MILLISECONDS.toNanos(1), () -> 2, dropped::incrementAndGet, System::nanoTime);
        LastIdleFirst collecting = new LastIdleFirst(queue);
        Queue<FakeJob> offered = new ConcurrentLinkedQueue<>();
        Map<Job, AtomicInteger> served = new ConcurrentHashMap<>();
        List<Thread> clients = new ArrayList<>();
        for (int client = 0; client < CLIENTS; client++) {
            clients.add(client(client, queue, offered));
        }
        List<Thread> workers = new ArrayList<>();
        for (int worker = 0; worker < 3; worker++) {
            workers.add(worker(worker, queue, collecting, served));
        }
        clients.forEach(Thread::start);
        workers.forEach(Thread::start);
        Random random = new Random(1);
        while (clients.stream().anyMatch(Thread::isAlive)) {
            // A worker dies: its thread is interrupted and starts again.
            workers.get(random.nextInt(workers.size())).interrupt();
            Thread.sleep(1);
        }
        while (served.size() + dropped.get() < CLIENTS * JOBS) {
            Thread.sleep(5);
        }
        equal(CLIENTS * JOBS, served.size() + dropped.get());
        equal(0, queue.size());
        for (FakeJob job : offered) {
            int times = served.getOrDefault(job, new AtomicInteger()).get() + job.errors.get();
            check(times == 1 || (times == 0 && !job.open), "job %s was answered %d times", job.getJobId(), times);
        }
    }

    private static Thread client(int number, BatchQueue queue, Queue<FakeJob> offered) {
        return new Thread(() -> {
            Random random = new Random(number);
            String[] priorities = {"urgent", "normal", "batch"};
            for (int i = 0; i < JOBS; i++) {
                Map<String, String> headers = Map.of(
                        Priority.HEADER, priorities[random.nextInt(3)],
                        Deadline.LIMIT, random.nextInt(10) == 0 ? "0" : "60");
                FakeJob job = new FakeJob("c" + random.nextInt(8), random.nextInt(1000), headers);
                job.open = random.nextInt(20) > 0;
                offered.add(job);
                queue.offer(job);
                if (job.status == 503) {
                    Thread.yield();
                }
            }
        });
    }

    private static Thread worker(int number, BatchQueue queue, ReentrantLock collecting, Map<Job, AtomicInteger> served) {
        Thread thread = new Thread(() -> {
            Random random = new Random(100 + number);
            while (true) {
                List<FakeJob> batch;
                try {
                    collecting.lockInterruptibly();
                    try {
                        batch = Checks.collect(queue, 16, 2);
                    } finally {
                        collecting.unlock();
                    }
                } catch (InterruptedException death) {
                    continue;
                }
                if (random.nextInt(50) == 0) {
                    batch.forEach(queue::addFirst);
                    continue;
                }
                batch.forEach(job -> served.computeIfAbsent(job, key -> new AtomicInteger()).incrementAndGet());
            }
        });
        thread.setDaemon(true);
        return thread;
    }
}
