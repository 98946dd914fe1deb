package onnxserve;

import static onnxserve.Checks.check;
import static onnxserve.Checks.equal;
import static onnxserve.LoadedServer.MS;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.IntToLongFunction;

/** Computed jobs are answered in time under any load. */
final class LimitChecks {
    private static final int CAPACITY = 1000;
    private static final long TARGET = 50 * MS;
    private static final IntToLongFunction LINEAR = jobs -> 5 * MS * jobs;
    private static final double LINEAR_PER_SECOND = 200;
    private static final IntToLongFunction GROWING = jobs -> 8 * MS + jobs * MS / 4;

    private LimitChecks() {}

    /** Compares p99 and throughput with the workers' capacity, after a warm-up of two seconds. */
    private static void checkOverload(LoadedServer server, double perSecond, double times, int clients) {
        server.run(times * perSecond, clients, 2000);
        server.reset();
        server.run(times * perSecond, clients, 20_000);
        String load = String.format("%.0f times as much of %d clients", times, clients);
        check(server.p99() <= 2 * TARGET, "%s: p99 %.1f ms, %s", load, server.p99() / 1e6, server.queue.json());
        double computed = server.times.size() / 20.0;
        check(computed > 0.9 * perSecond, "%s: %.0f of %.0f a second", load, computed, perSecond);
    }

    static void overloadMovesNoPercentileBeyondTwiceTheTarget() {
        for (int workers : List.of(1, 2)) {
            for (int largest : List.of(1, 64)) {
                for (int clients : List.of(1, 20, 512)) {
                    for (double times : List.of(2.0, 10.0)) {
                        LoadedServer server = new LoadedServer(CAPACITY, TARGET, workers, largest, LINEAR);
                        checkOverload(server, workers * LINEAR_PER_SECOND, times, clients);
                    }
                }
            }
        }
    }

    static void aModelThatGainsByBatchesKeepsThemAtOverload() {
        for (int workers : List.of(1, 2)) {
            double perSecond = workers * 64e9 / GROWING.applyAsLong(64);
            checkOverload(new LoadedServer(CAPACITY, TARGET, workers, 64, GROWING), perSecond, 3, 512);
        }
    }

    static void withoutATargetAllOfTheQueueIsUsed() {
        LoadedServer server = new LoadedServer(CAPACITY, 0, 1, 1, LINEAR);
        server.run(2 * LINEAR_PER_SECOND, 512, 20_000);
        check(server.p99() > 40 * TARGET, "p99 %.1f ms", server.p99() / 1e6);
        check(server.queue.json().contains("\"capacity\":1000,\"p99_ms\":null"), "%s", server.queue.json());
    }

    static void theLimitFollowsAModelThatBecomesSlowerAndFasterAgain() {
        for (int workers : List.of(1, 2)) {
            LoadedServer server = new LoadedServer(CAPACITY, TARGET, workers, 1, LINEAR);
            checkOverload(server, workers * LINEAR_PER_SECOND, 4, 512);
            server.reset();
            server.duration = jobs -> 4 * LINEAR.applyAsLong(jobs);
            server.run(4 * workers * LINEAR_PER_SECOND, 512, 10_000);
            check(server.p99() <= 2 * TARGET, "while it is slow: %.1f ms", server.p99() / 1e6);
            server.duration = LINEAR;
            checkOverload(server, workers * LINEAR_PER_SECOND, 4, 512);
        }
    }

    static void nothingIsRefusedBelowWhatTheWorkersCanDo() {
        for (int workers : List.of(1, 2)) {
            LoadedServer server = new LoadedServer(CAPACITY, TARGET, workers, 1, LINEAR);
            server.run(5 * workers * LINEAR_PER_SECOND, 512, 3000);
            server.run(0.1, 1, 3000);
            server.reset();
            server.run(0.7 * workers * LINEAR_PER_SECOND, 512, 60_000);
            int open = server.queue.size() + workers;
            check(server.times.size() >= server.offered - open, "%d of %d", server.times.size(), server.offered);
        }
    }

    static void aMomentInWhichTheMachineDidSomethingElseRefusesNobody() {
        QueueLimit limit = learned(1, MS / 10, 20_000);
        int before = limit.jobs();
        limit.taken();
        limit.nextBatch(100 * MS);
        limit.nextBatch(100 * MS);
        check(limit.jobs() > before * 4 / 5, "%d, then %d", before, limit.jobs());
    }

    static void aServerThatHasJustStartedRefusesNobody() {
        equal(CAPACITY, learned(1, 10 * MS, 90).jobs());
    }

    static void aPacedClientBesideAFloodIsNeverRefused() {
        LoadedServer server = new LoadedServer(CAPACITY, TARGET, 1, 1, LINEAR);
        checkPaced(server, 200, 1, 100);
    }

    static void aPacedClientBesideMoreFloodsThanThereIsRoomForIsNotRefusedOnceItIsKnown() {
        LoadedServer server = new LoadedServer(CAPACITY, TARGET, 1, 1, LINEAR);
        server.run(10 * LINEAR_PER_SECOND, 60, 5000);
        checkPaced(server, 60, 60, 1000);
    }

    static void whatComesLateOfAPacedClientIsComputedBesideAFlood() {
        LoadedServer server = new LoadedServer(CAPACITY, TARGET, 1, 1, LINEAR);
        server.run(10 * LINEAR_PER_SECOND, 2, 3000);
        String start = String.format("%.3f", System.currentTimeMillis() / 1e3 - 1);
        for (int i = 0; i < 20; i++) {
            FakeJob job = server.send(new FakeJob("paced", 100, Map.of(Deadline.START, start)));
            server.run(10 * LINEAR_PER_SECOND, 2, 100);
            equal(0, job.status);
        }
    }

    /**
     * Sends {@code requests} jobs of one client, {@code ms} apart, while {@code floods} clients send ten
     * times a worker's capacity.
     */
    private static void checkPaced(LoadedServer server, int requests, int floods, long ms) {
        List<FakeJob> paced = new ArrayList<>();
        for (int i = 0; i < requests; i++) {
            server.run(10 * LINEAR_PER_SECOND, floods, ms);
            paced.add(server.send("paced", "normal"));
        }
        equal(0L, paced.stream().filter(job -> job.status != 0).count());
    }

    static void aLimitThatIsTooLowGrowsWhenWorkersRunDry() {
        QueueLimit limit = learned(1, 10 * MS, 200);
        int low = limit.jobs();
        long now = 0;
        for (int i = 0; i < 40; i++) {
            // A burst that is mostly refused, followed by idle time.
            now += TARGET;
            limit.refused(now);
            limit.waited(TARGET / 2);
            limit.nextBatch(now);
            limit.nextBatch(now);
        }
        check(limit.jobs() > 10 * low, "%d, then %d", low, limit.jobs());
    }

    /** Returns a limit that has measured {@code batches} batches of one job, each of {@code batchTime}. */
    private static QueueLimit learned(int workers, long batchTime, int batches) {
        long now = -batches * batchTime;
        QueueLimit limit = new QueueLimit(CAPACITY, TARGET, now);
        limit.workers(workers, now);
        for (int i = 0; i < batches; i++) {
            limit.taken();
            now += batchTime / workers;
            limit.nextBatch(now);
        }
        return limit;
    }

    static void theLimitIsWhatWorkersDoInOneAndAHalfTargetsLessWhatRuns() {
        equal(7 - 1, learned(1, 10 * MS, 400).jobs());
        equal(15 - 2, learned(2, 10 * MS, 400).jobs());
        equal(2, learned(1, 1000 * MS, 400).jobs());
        equal(CAPACITY, learned(1, MS / 100, 40_000).jobs());
    }

    static void aJobIsLateByTheTimeSinceTheGatewayPassedItOnButOnlyWhileOthersAreRefused() {
        QueueLimit limit = learned(1, 10 * MS, 400);
        String start = String.format("%.3f", System.currentTimeMillis() / 1e3 - 1);
        Map<String, String> headers = Map.of(Deadline.START, start);
        QueuedJob old = new QueuedJob(new FakeJob("client", 10, headers), 0);
        check(!limit.late(old, 0), "nothing was refused");
        limit.refused(0);
        check(limit.late(old, 0), "it came a second ago");
        check(!limit.late(new QueuedJob(FakeJob.of("client"), 0), 0), "it came just now");
        headers = Map.of(Deadline.START, start, Priority.HEADER, "batch");
        check(!limit.late(new QueuedJob(new FakeJob("client", 10, headers), 0), 0), "it has time");
    }

    static void forASecondAfterARefusalWhatIsLateIsNotComputedThoughTheLimitHasGrown() {
        QueueLimit limit = learned(1, 10 * MS, 400);
        QueuedJob job = new QueuedJob(FakeJob.of("client"), 0);
        limit.refused(0);
        for (long now = TARGET; now < 900 * MS; now += TARGET) {
            limit.nextBatch(now);
            limit.nextBatch(now);
            check(limit.late(job, now) == now > 7 * TARGET / 4, "at %d", now / MS);
        }
        check(!limit.late(job, 1100 * MS), "nothing is overloaded any more");
    }

    static void jobsThatWaitedForAWorkerToComeBackAreNotLate() {
        LoadedServer server = new LoadedServer(CAPACITY, TARGET, 1, 1, LINEAR);
        server.run(2 * LINEAR_PER_SECOND, 512, 2000);
        server.queue.workers(0);
        int before = server.queue.size();
        check(before < 20, "%d jobs", before);
        List<FakeJob> waiting = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            FakeJob job = FakeJob.of("client" + i);
            check(!Checks.refused(server.queue, job), "job %d was refused", i);
            waiting.add(job);
        }
        server.clock.addAndGet(5000 * MS);
        server.queue.workers(1);
        server.clock.addAndGet(5000 * MS);
        while (server.queue.poll() != null) {
            equal(0L, waiting.stream().filter(job -> job.status != 0).count());
        }
    }

    static void whileEachWorkerFailsToLoadTheModelWhatWaitsAndWhatComesIsAnswered() throws InterruptedException {
        BatchQueue queue = Checks.queue(10);
        FakeJob failed = FakeJob.of("a");
        queue.offer(failed);
        queue.poll(Long.MAX_VALUE, TimeUnit.MILLISECONDS).sendError(500, "Worker died.");
        FakeJob waiting = FakeJob.of("a");
        queue.offer(waiting);
        queue.workers(0);
        queue.outage(false);
        equal(0, failed.status + waiting.status);
        queue.outage(true);
        equal(List.of(503, 503), List.of(failed.status, waiting.status));
        check(Checks.refused(queue, FakeJob.of("b")), "it waits for nothing");
        check(queue.json().contains("\"no_worker\":3"), "%s", queue.json());
        queue.workers(1);
        queue.outage(false);
        FakeJob served = FakeJob.of("b");
        queue.offer(served);
        equal(List.of(served), Checks.collect(queue, 4));
    }

    static void aTargetIsReadFromTheConfigurationOfAnArchive() {
        equal(50 * MS, LatencyTarget.of(Map.of("tuning", Map.of("p99_ms", 50))));
        equal(2 * MS / 4, LatencyTarget.of(Map.of("tuning", Map.of("p99_ms", 0.5))));
        for (Object tuning : List.of("fast", Map.of(), Map.of("p99_ms", "50"), Map.of("p99_ms", -1), List.of())) {
            equal(0L, LatencyTarget.of(Map.of("tuning", tuning)));
        }
        equal(0L, LatencyTarget.of(Map.of("batchSize", 4)));
        equal(0L, LatencyTarget.of((Map<String, Object>) null));
    }
}
