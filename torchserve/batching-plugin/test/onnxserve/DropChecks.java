package onnxserve;

import static onnxserve.Checks.check;
import static onnxserve.Checks.equal;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** Jobs that leave without being computed. */
final class DropChecks {
    // Much longer than a busy machine needs between two statements.
    private static final long MARGIN_S = 60;

    private DropChecks() {}

    private static FakeJob timed(Object limit, Object start) {
        Map<String, String> headers = new HashMap<>();
        headers.put(Deadline.LIMIT, String.valueOf(limit));
        if (start != null) {
            headers.put(Deadline.START, String.valueOf(start));
        }
        return new FakeJob("client", 10, headers);
    }

    /** Checks that both jobs expire after {@code seconds}, neither much earlier nor much later. */
    private static void expires(FakeJob early, FakeJob job, double seconds) {
        AtomicLong clock = new AtomicLong(System.nanoTime());
        BatchQueue queue = Checks.queue(10, clock);
        queue.offer(early);
        queue.offer(job);
        clock.addAndGet((long) ((seconds - MARGIN_S) * 1e9));
        check(queue.poll() == early, "dropped early");
        clock.addAndGet(TimeUnit.SECONDS.toNanos(2 * MARGIN_S));
        check(queue.poll() == null, "still taken late");
        equal(504, job.status);
        equal(1, job.errors.get());
        check(queue.json().contains("\"expired\":1"), "%s", queue.json());
    }

    private static void never(FakeJob job) {
        AtomicLong clock = new AtomicLong(System.nanoTime());
        BatchQueue queue = Checks.queue(10, clock);
        queue.offer(job);
        clock.addAndGet(TimeUnit.DAYS.toNanos(300));
        check(queue.poll() == job, "dropped");
    }

    private static double now() {
        return System.currentTimeMillis() / 1e3;
    }

    static void aDeadlineCountsFromTheRequestsStart() {
        expires(timed(300, now() - 200), timed(300, now() - 200), 100);
        expires(timed("300", String.format("%.3f", now())), timed("300", String.format("%.3f", now())), 300);
    }

    static void aDeadlineWithoutAStartCountsFromTheJobsBeginning() {
        expires(timed(500, null), timed(500, null), 500);
        expires(timed(500, "yesterday"), timed(500, "yesterday"), 500);
    }

    static void aRequestWhoseDeadlineHadPassedBeforeIsNotTaken() {
        for (FakeJob job : List.of(timed(30, now() - 3600), timed(0.001, now() - 1))) {
            BatchQueue queue = Checks.queue(10);
            queue.offer(job);
            check(queue.poll() == null, "taken");
            equal(504, job.status);
        }
    }

    static void aClockThatJumpedGivesNoMoreAndNoLessThanTheDeadline() {
        expires(timed(300, now() + 3600), timed(300, now() + 3600), 300);
        expires(timed(300, 0), timed(300, 0), 300);
    }

    static void whatIsNoNumberIsNoDeadline() {
        never(timed("soon", now()));
        never(timed("NaN", now()));
        never(timed("", now()));
        never(timed(0, now()));
        never(timed(-1, now()));
        never(FakeJob.of("client"));
    }

    static void aModelsClientTimeoutIsADeadlineToo() {
        FakeJob early = FakeJob.of("client");
        early.getPayload().setClientExpireTS(700_000);
        FakeJob job = FakeJob.of("client");
        job.getPayload().setClientExpireTS(700_000);
        expires(early, job, 700);
    }

    static void aJobWhoseClientHungUpIsDroppedWithoutAnAnswer() throws InterruptedException {
        AtomicInteger dropped = new AtomicInteger();
        BatchQueue queue = new BatchQueue(10, 0, () -> 1, dropped::incrementAndGet, System::nanoTime);
        FakeJob gone = FakeJob.of("a");
        FakeJob present = FakeJob.of("a");
        queue.offer(gone);
        queue.offer(present);
        gone.open = false;
        equal(List.of(present), Checks.collect(queue, 8));
        equal(0, gone.errors.get());
        equal(1, dropped.get());
        check(queue.json().contains("\"gone\":1"), "%s", queue.json());
    }

    static void jobsOfAModelThatIsUnregisteredAreAnswered() {
        BatchQueue queue = Checks.queue(10);
        FakeJob waiting = FakeJob.of("a");
        queue.offer(waiting);
        queue.close();
        equal(503, waiting.status);
        check(!queue.offer(FakeJob.of("a")), "a closed queue took a job");
        queue.reopen();
        check(queue.offer(FakeJob.of("a")), "a queue that is open again refused a job");
    }
}
