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
    private DropChecks() {}

    private static FakeJob timed(Object limit, Object start) {
        Map<String, String> headers = new HashMap<>();
        headers.put(Deadline.LIMIT, String.valueOf(limit));
        if (start != null) {
            headers.put(Deadline.START, String.valueOf(start));
        }
        return new FakeJob("client", 10, headers);
    }

    /** Whether two such jobs expire in so many seconds: neither a second before nor a second later. */
    private static void expires(FakeJob early, FakeJob job, double seconds) {
        AtomicLong clock = new AtomicLong(System.nanoTime());
        BatchQueue queue = Checks.queue(10, clock);
        queue.offer(early);
        queue.offer(job);
        clock.addAndGet((long) ((seconds - 1) * 1e9));
        check(queue.poll() == early, "dropped a second early");
        clock.addAndGet(TimeUnit.SECONDS.toNanos(2));
        check(queue.poll() == null, "still taken a second late");
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
        expires(timed(30, now() - 20), timed(30, now() - 20), 10);
        expires(timed("30", String.format("%.3f", now())), timed("30", String.format("%.3f", now())), 30);
    }

    static void aDeadlineWithoutAStartCountsFromTheJobsBeginning() {
        expires(timed(5, null), timed(5, null), 5);
        expires(timed(5, "yesterday"), timed(5, "yesterday"), 5);
    }

    static void aRequestWhoseDeadlineHadPassedBeforeIsNotTaken() {
        for (FakeJob job : List.of(timed(30, now() - 3600), timed(0, now()), timed(-1, now()))) {
            BatchQueue queue = Checks.queue(10);
            queue.offer(job);
            check(queue.poll() == null, "taken");
            equal(504, job.status);
        }
    }

    static void aClockThatJumpedBackGivesNoMoreThanTheDeadline() {
        expires(timed(30, now() + 3600), timed(30, now() + 3600), 30);
    }

    static void whatIsNoNumberIsNoDeadline() {
        never(timed("soon", now()));
        never(timed("NaN", now()));
        never(timed("", now()));
        never(timed("1e300", now()));
        never(FakeJob.of("client"));
    }

    static void aModelsClientTimeoutIsADeadlineToo() {
        FakeJob early = FakeJob.of("client");
        early.getPayload().setClientExpireTS(7000);
        FakeJob job = FakeJob.of("client");
        job.getPayload().setClientExpireTS(7000);
        expires(early, job, 7);
    }

    static void aJobWhoseClientHungUpIsDroppedWithoutAnAnswer() throws InterruptedException {
        AtomicInteger dropped = new AtomicInteger();
        BatchQueue queue = new BatchQueue(10, () -> 1, dropped::incrementAndGet, System::nanoTime);
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
