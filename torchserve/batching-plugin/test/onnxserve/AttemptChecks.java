package onnxserve;

import static onnxserve.Checks.check;
import static onnxserve.Checks.equal;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.pytorch.serve.job.Job;

/** Jobs whose worker ended, or whose batch failed as a whole. */
final class AttemptChecks {
    private static final String DIED = "Worker died.";
    private static final String FAILED = "Prediction failed";

    private AttemptChecks() {}

    /** Collects a batch as TorchServe does. */
    private static List<Job> batch(BatchQueue queue) throws InterruptedException {
        List<Job> jobs = new ArrayList<>();
        Job job = queue.poll(Long.MAX_VALUE, TimeUnit.MILLISECONDS);
        while (job != null) {
            jobs.add(job);
            job = queue.poll(1, TimeUnit.MILLISECONDS);
        }
        return jobs;
    }

    private static List<FakeJob> offered(BatchQueue queue, int count) {
        List<FakeJob> jobs = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            jobs.add(FakeJob.of("client"));
            queue.offer(jobs.get(i));
        }
        return jobs;
    }

    private static Job only(BatchQueue queue, FakeJob expected) throws InterruptedException {
        List<Job> jobs = batch(queue);
        equal(1, jobs.size());
        check(Checks.original(jobs.get(0)) == expected, "it is another job");
        return jobs.get(0);
    }

    static void jobsWhoseWorkerEndedAreTriedOnceMoreEachAloneBeforeAllOthers() throws InterruptedException {
        BatchQueue queue = Checks.queue(10);
        List<FakeJob> jobs = offered(queue, 2);
        for (Job job : batch(queue)) {
            job.sendError(500, DIED);
        }
        FakeJob other = FakeJob.of("other");
        queue.offer(other);
        equal(3, queue.size());
        only(queue, jobs.get(0)).response(new byte[0], "", 200, null, Map.of("a", "b"));
        equal(200, jobs.get(0).status);
        equal(Map.of("a", "b", Attempt.ENDED, "507"), jobs.get(0).headers);
        only(queue, jobs.get(1)).sendError(500, DIED);
        equal(507, jobs.get(1).status);
        equal(1, jobs.get(1).errors.get());
        only(queue, other).response(new byte[0], "", 200, null, null);
        check(other.headers == null, "another job's worker ended");
        equal(0, queue.size());
    }

    static void aJobThatFailedBesideOthersIsTriedAloneAndWhatThenFailsIsItsOwn() throws InterruptedException {
        BatchQueue queue = Checks.queue(10);
        List<FakeJob> jobs = offered(queue, 2);
        for (Job job : batch(queue)) {
            job.sendError(503, FAILED);
        }
        only(queue, jobs.get(0)).sendError(503, FAILED);
        equal(503, jobs.get(0).status);
        only(queue, jobs.get(1)).response(new byte[0], "", 200, null, Map.of());
        equal(Map.of(), jobs.get(1).headers);
    }

    static void aJobThatFailsAloneWithItsWorkerAliveIsNotTriedAgain() throws InterruptedException {
        BatchQueue queue = Checks.queue(10);
        FakeJob job = offered(queue, 1).get(0);
        only(queue, job).sendError(503, FAILED);
        equal(503, job.status);
        equal(0, queue.size());
    }

    static void aStreamThatHasBegunIsNotBegunAgain() throws InterruptedException {
        BatchQueue queue = Checks.queue(10);
        FakeJob job = offered(queue, 1).get(0);
        Job attempt = only(queue, job);
        attempt.response(new byte[0], "", 200, null, Map.of());
        attempt.sendError(500, DIED);
        equal(1, job.errors.get());
        equal(0, queue.size());
    }

    static void aJobThatWasPutBackAndFailedAtOnceIsThereOnce() throws InterruptedException {
        BatchQueue queue = Checks.queue(10);
        FakeJob job = offered(queue, 1).get(0);
        Job attempt = only(queue, job);
        queue.addFirst(attempt);
        attempt.sendError(500, DIED);
        queue.addFirst(attempt);
        equal(1, queue.size());
        equal(0, job.errors.get());
    }

    static void jobsOfAModelThatWasUnregisteredAreAnswered() throws InterruptedException {
        BatchQueue queue = Checks.queue(10);
        List<FakeJob> jobs = offered(queue, 2);
        List<Job> batch = batch(queue);
        batch.get(0).sendError(500, DIED);
        queue.close();
        batch.get(1).sendError(500, DIED);
        equal(503, jobs.get(0).status);
        equal(507, jobs.get(1).status);
    }

    static void aRequestThatEndedTwoWorkersEndsNoMoreForAWhile() throws InterruptedException {
        AtomicLong clock = new AtomicLong(System.nanoTime());
        BatchQueue queue = Checks.queue(10, clock);
        FakeJob first = offered(queue, 1).get(0);
        only(queue, first).sendError(500, DIED);
        only(queue, first).sendError(500, DIED);
        FakeJob same = FakeJob.of("another client");
        queue.offer(same);
        equal(507, same.status);
        equal(0, queue.size());
        check(queue.json().contains("\"poison\":1"), "%s", queue.json());
        queue.offer(new FakeJob("client", 99, Map.of()));
        equal(1, queue.size());
        clock.addAndGet(TimeUnit.MINUTES.toNanos(6));
        offered(queue, 1);
        equal(2, queue.size());
    }

    static void aClientWhoseDifferentRequestsEndManyWorkersIsRefusedForAWhile() throws InterruptedException {
        AtomicLong clock = new AtomicLong(System.nanoTime());
        BatchQueue queue = Checks.queue(100, clock);
        for (int bytes = 1; bytes <= 12; bytes++) {
            FakeJob killer = new FakeJob("client", bytes, Map.of());
            queue.offer(killer);
            only(queue, killer).sendError(500, DIED);
            only(queue, killer).sendError(500, DIED);
            equal(507, killer.status);
        }
        FakeJob next = new FakeJob("client", 1000, Map.of());
        queue.offer(next);
        equal(503, next.status);
        check(queue.json().contains("\"quarantined\":1"), "%s", queue.json());
        queue.offer(new FakeJob("another client", 1000, Map.of()));
        equal(1, queue.size());
        clock.addAndGet(TimeUnit.MINUTES.toNanos(6));
        queue.offer(new FakeJob("client", 1000, Map.of()));
        equal(2, queue.size());
    }

    static void clientsWithoutANameAreNotRefusedForEachOther() throws InterruptedException {
        BatchQueue queue = Checks.queue(100);
        for (int bytes = 1; bytes <= 20; bytes++) {
            FakeJob killer = new FakeJob("", bytes, Map.of());
            queue.offer(killer);
            only(queue, killer).sendError(500, DIED);
            only(queue, killer).sendError(500, DIED);
        }
        queue.offer(new FakeJob("", 1000, Map.of()));
        equal(1, queue.size());
    }

    static void aRequestWithWhichOneWorkerEndedIsTakenAgain() throws InterruptedException {
        BatchQueue queue = Checks.queue(10);
        FakeJob first = offered(queue, 1).get(0);
        only(queue, first).sendError(500, DIED);
        only(queue, first).response(new byte[0], "", 200, null, Map.of());
        offered(queue, 1);
        equal(1, queue.size());
    }

    static void theWordsOfAnErrorThatAHandlerNamesGoAlongInAHeader() throws InterruptedException {
        BatchQueue queue = Checks.queue(10);
        List<FakeJob> jobs = offered(queue, 2);
        byte[] words = "{}".getBytes(StandardCharsets.UTF_8);
        Map<String, String> named = Map.of(Attempt.ERROR, "not_finite");
        List<Job> batch = batch(queue);
        batch.get(0).response(words, "application/json", 500, null, named);
        equal(Map.of(Attempt.ERROR, "not_finite", Attempt.BODY, "e30="), jobs.get(0).headers);
        batch.get(1).response(words, "application/json", 422, null, named);
        equal(named, jobs.get(1).headers);
    }

    static void aProcessThatWasKilledDoesNotRun() throws IOException {
        check(Worker.runs(ProcessHandle.current().pid()), "this process doesn't run");
        Process process = new ProcessBuilder("sleep", "60").start();
        check(Worker.runs(process.pid()), "it doesn't run");
        process.destroyForcibly();
        check(!Worker.runs(process.pid()), "it runs");
    }
}
