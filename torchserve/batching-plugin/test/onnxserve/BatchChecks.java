package onnxserve;

import static onnxserve.Checks.check;
import static onnxserve.Checks.equal;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntToLongFunction;

/** Composition of batches. */
final class BatchChecks {
    private static final long HOUR_MS = TimeUnit.HOURS.toMillis(1);
    private static final IntToLongFunction LINEAR = jobs -> TimeUnit.MILLISECONDS.toNanos(5L * jobs);
    private static final IntToLongFunction CONSTANT = jobs -> TimeUnit.MILLISECONDS.toNanos(5);

    private BatchChecks() {}

    static void aLoneRequestWaitsForNobody() throws InterruptedException {
        BatchQueue queue = new BatchQueue(10, 0, () -> (int) HOUR_MS, () -> {}, System::nanoTime);
        for (int i = 0; i < 3; i++) {
            queue.offer(FakeJob.of("a"));
            equal(1, Checks.collect(queue, 8, HOUR_MS).size());
        }
    }

    static void aBatchWaitsForAsManyAsTheOneBeforeHad() throws InterruptedException {
        BatchQueue queue = new BatchQueue(10, 0, () -> (int) HOUR_MS, () -> {}, System::nanoTime);
        queue.offer(FakeJob.of("a"));
        queue.offer(FakeJob.of("a"));
        equal(2, Checks.collect(queue, 8, HOUR_MS).size());
        queue.offer(FakeJob.of("a"));
        Thread late = new Thread(() -> queue.offer(FakeJob.of("a")));
        late.start();
        equal(2, Checks.collect(queue, 8, HOUR_MS).size());
        late.join();
    }

    /** Collects jobs of one client, after the previous batch took {@code ms}. */
    private static void collect(BatchQueue queue, AtomicLong clock, long ms, int jobs) throws InterruptedException {
        clock.addAndGet(TimeUnit.MILLISECONDS.toNanos(ms));
        for (int job = 0; job < jobs; job++) {
            queue.offer(FakeJob.of("a"));
        }
        equal(jobs, Checks.collect(queue, jobs).size());
    }

    private static void checkThatAFurtherJobCostsAsMuchAsTheFirst(BatchQueue queue) {
        check(queue.json().contains("\"limit\":1,"), "%s", queue.json());
    }

    static void aWaitInVainForFurtherJobsIsNoTimeOfTheBatch() throws InterruptedException {
        AtomicLong computed = new AtomicLong();
        BatchQueue queue = new BatchQueue(10, 0, () -> 200, () -> {}, () -> System.nanoTime() + computed.get());
        collect(queue, computed, 0, 2);
        queue.offer(FakeJob.of("a"));
        equal(1, Checks.collect(queue, 2, 200).size());
        collect(queue, computed, 0, 2);
        collect(queue, computed, 150, 2);
        checkThatAFurtherJobCostsAsMuchAsTheFirst(queue);
    }

    static void theTimeInWhichAWorkerStartsAgainIsNoTimeOfABatch() throws InterruptedException {
        AtomicLong clock = new AtomicLong(System.nanoTime());
        BatchQueue queue = Checks.queue(10, clock);
        queue.offer(FakeJob.of("a"));
        queue.poll(Long.MAX_VALUE, TimeUnit.MILLISECONDS).sendError(500, "Worker died.");
        clock.addAndGet(TimeUnit.SECONDS.toNanos(10));
        equal(1, Checks.collect(queue, 1).size());
        collect(queue, clock, 5, 1);
        collect(queue, clock, 5, 2);
        collect(queue, clock, 10, 1);
        checkThatAFurtherJobCostsAsMuchAsTheFirst(queue);
    }

    /** One worker, a flood of 200 jobs, and one request of a paced client every {@code periodMs}. */
    private static final class Simulation {
        final AtomicLong clock = new AtomicLong(System.nanoTime());
        final BatchQueue queue = Checks.queue(1000, clock);
        final long periodMs;
        IntToLongFunction duration;
        long nextPacedAt = Long.MAX_VALUE;
        long pacedAt;
        List<Long> paced = new ArrayList<>();
        int largest;
        int computed;

        Simulation(IntToLongFunction duration, long periodMs) {
            this.duration = duration;
            this.periodMs = periodMs;
            for (int i = 0; i < 200; i++) {
                queue.offer(FakeJob.of("flood"));
            }
        }

        void run(long ms) throws InterruptedException {
            long end = clock.get() + TimeUnit.MILLISECONDS.toNanos(ms);
            paced.clear();
            largest = 0;
            computed = 0;
            while (clock.get() < end) {
                List<FakeJob> batch = Checks.collect(queue, 64);
                largest = Math.max(largest, batch.size());
                computed += batch.size();
                long done = clock.get() + duration.applyAsLong(batch.size());
                if (nextPacedAt <= done) {
                    clock.set(Math.max(nextPacedAt, clock.get()));
                    pacedAt = clock.get();
                    queue.offer(FakeJob.of("paced"));
                    nextPacedAt += TimeUnit.MILLISECONDS.toNanos(periodMs);
                }
                clock.set(done);
                for (FakeJob job : batch) {
                    if (job.client.equals("paced")) {
                        paced.add(done - pacedAt);
                    } else {
                        queue.offer(FakeJob.of("flood"));
                    }
                }
            }
        }

        void startPaced() {
            nextPacedAt = clock.get();
        }

        /** Returns the 99th percentile of the paced client's latencies, in ns. */
        long p99() {
            Collections.sort(paced);
            return paced.get(paced.size() * 99 / 100);
        }
    }

    static void aModelWhoseTimeGrowsWithItsRowsServesAPacedClientWithinTwiceItsTime() throws InterruptedException {
        Simulation simulation = new Simulation(LINEAR, 100);
        simulation.run(5000);
        equal(64, simulation.largest);
        simulation.startPaced();
        simulation.run(2000);
        simulation.run(100_000);
        check(simulation.largest <= 2, "%d jobs in a batch", simulation.largest);
        check(simulation.p99() <= 2 * LINEAR.applyAsLong(1), "%d ns", simulation.p99());
        equal(100_000 / 5, simulation.computed);
    }

    static void aModelWhoseTimeIsConstantKeepsItsLargeBatches() throws InterruptedException {
        Simulation simulation = new Simulation(CONSTANT, 100);
        simulation.startPaced();
        simulation.run(2000);
        simulation.run(20_000);
        equal(64, simulation.largest);
        check(simulation.computed > 20_000 / 5 * 64 * 9 / 10, "%d jobs", simulation.computed);
        check(simulation.p99() <= 2 * CONSTANT.applyAsLong(1), "%d ns", simulation.p99());
    }

    static void batchesFollowAModelThatChanges() throws InterruptedException {
        Simulation simulation = new Simulation(LINEAR, 100);
        simulation.startPaced();
        simulation.run(5000);
        simulation.duration = CONSTANT;
        simulation.run(10_000);
        equal(64, simulation.largest);
        simulation.duration = LINEAR;
        simulation.run(5000);
        simulation.run(5000);
        check(simulation.largest <= 2, "%d jobs in a batch", simulation.largest);
    }

    static void batchesFollowAModelThatBecomesSlowAsAWhole() throws InterruptedException {
        Simulation simulation = new Simulation(CONSTANT, 100);
        simulation.startPaced();
        simulation.run(5000);
        simulation.duration = jobs -> TimeUnit.MILLISECONDS.toNanos(50);
        simulation.run(120_000);
        simulation.run(5000);
        equal(64, simulation.largest);
    }

    static void theFirstBatchesOfAModelGrowByDoublingAtMost() {
        ServiceTime time = new ServiceTime();
        equal(1, time.limit());
        for (int jobs = 1; jobs < 64; jobs *= 2) {
            time.add(jobs, CONSTANT.applyAsLong(jobs));
            equal(2 * jobs, time.limit());
        }
    }

    static void batchesGrowAgainFiveSecondsAfterTheLastPacedRequest() throws InterruptedException {
        Simulation simulation = new Simulation(LINEAR, 100);
        simulation.startPaced();
        simulation.run(5000);
        simulation.nextPacedAt = Long.MAX_VALUE;
        simulation.run(4000);
        check(simulation.largest <= 2, "%d jobs in a batch", simulation.largest);
        simulation.run(2000);
        equal(64, simulation.largest);
    }

    static void aProbeEveryTenSecondsCostsNoThroughput() throws InterruptedException {
        Simulation simulation = new Simulation(CONSTANT, 10_000);
        simulation.startPaced();
        simulation.run(100_000);
        equal(100_000 / 5 * 64, simulation.computed);
    }

    /**
     * The queue runs empty, so every third batch has one job; all jobs that arrive earlier run together in
     * the others.
     */
    private static void checkThatBatchesStayLarge(int clients, boolean probed) throws InterruptedException {
        AtomicLong clock = new AtomicLong(System.nanoTime());
        BatchQueue queue = Checks.queue(1000, clock);
        long nextProbe = clock.get();
        for (int i = 0; i < 20_000; i++) {
            int jobs = i % 3 == 0 ? 1 : 60;
            for (int j = 0; j < jobs; j++) {
                queue.offer(FakeJob.of("client" + (i + j) % clients));
            }
            if (probed && nextProbe <= clock.get()) {
                queue.offer(FakeJob.of("probe", "urgent"));
                nextProbe += TimeUnit.SECONDS.toNanos(10);
            }
            List<FakeJob> batch = Checks.collect(queue, 64);
            clock.addAndGet(LINEAR.applyAsLong(batch.size()));
            check(batch.size() >= jobs, "%d of %d jobs in batch %d", batch.size(), jobs, i);
        }
    }

    static void oneClientWithManyConnectionsIsNotHeldBackForAProbe() throws InterruptedException {
        checkThatBatchesStayLarge(1, true);
    }

    static void clientsThatSendAsMuchAsEachOtherAreNotHeldBackForEachOther() throws InterruptedException {
        checkThatBatchesStayLarge(3, false);
        checkThatBatchesStayLarge(10, false);
    }

    static void twoFloodsAreNotHeldBackForEachOther() throws InterruptedException {
        Simulation simulation = new Simulation(LINEAR, 100);
        for (int i = 0; i < 200; i++) {
            simulation.queue.offer(FakeJob.of("another"));
        }
        simulation.run(5000);
        simulation.run(5000);
        equal(64, simulation.largest);
    }

    static void aShortBatchHasAJobOfEachClientWhoseTurnItIs() throws InterruptedException {
        Simulation simulation = new Simulation(LINEAR, 100);
        simulation.startPaced();
        simulation.run(5000);
        for (int i = 0; i < 20; i++) {
            simulation.queue.offer(FakeJob.of("quiet" + i));
        }
        List<FakeJob> batch = Checks.collect(simulation.queue, 64);
        long quiet = batch.stream().map(job -> job.client).filter(name -> name.startsWith("quiet")).count();
        // The flood gets a ninth of the turns.
        check(quiet >= 18 && batch.size() <= 21, "%d of %d jobs", quiet, batch.size());
    }

    static void urgentRequestsKeepBatchRequestsFromTheirBatch() throws InterruptedException {
        AtomicLong clock = new AtomicLong(System.nanoTime());
        BatchQueue queue = Checks.queue(1000, clock);
        for (int i = 0; i < 300; i++) {
            queue.offer(FakeJob.of("nightly", "batch"));
        }
        int nightly = 0;
        for (int i = 0; i < 100; i++) {
            List<FakeJob> batch = Checks.collect(queue, 64);
            clock.addAndGet(LINEAR.applyAsLong(batch.size()));
            queue.offer(FakeJob.of("user", "urgent"));
            // The first batches teach the queue that users wait and how much a second job adds.
            if (i > 4) {
                equal(1, batch.size());
                nightly += batch.get(0).client.equals("nightly") ? 1 : 0;
            }
        }
        check(nightly == 2 || nightly == 3, "%d of 95 turns", nightly);
    }
}
