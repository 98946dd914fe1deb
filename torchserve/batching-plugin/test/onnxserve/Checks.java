package onnxserve;

import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.pytorch.serve.job.Job;

/**
 * Runs checks, {@code java onnxserve.Checks FairnessChecks.nameOfTheRule …}. Prints a line for each check:
 * that it holds, or why it doesn't.
 */
final class Checks {
    private Checks() {}

    public static void main(String[] rules) throws ReflectiveOperationException {
        for (String rule : rules) {
            int dot = rule.indexOf('.');
            try {
                Class<?> group = Class.forName("onnxserve." + rule.substring(0, dot));
                group.getDeclaredMethod(rule.substring(dot + 1)).invoke(null);
                System.out.println(rule + " holds");
            } catch (InvocationTargetException error) {
                System.out.println(rule + " fails: " + error.getCause());
                error.getCause().printStackTrace();
            }
        }
        // Threads that simulate workers still wait.
        System.exit(0);
    }

    static void check(boolean holds, String format, Object... values) {
        if (!holds) {
            throw new AssertionError(String.format(format, values));
        }
    }

    static void equal(Object expected, Object value) {
        check(expected.equals(value), "expected %s, got %s", expected, value);
    }

    /** Returns a queue whose batches never wait, with a clock that stands still. */
    static BatchQueue queue(int capacity) {
        return queue(capacity, new AtomicLong(System.nanoTime()));
    }

    static BatchQueue queue(int capacity, AtomicLong clock) {
        return new BatchQueue(capacity, 0, () -> 1, () -> {}, clock::get);
    }

    /** Returns whether a job is refused; its client is answered at once. */
    static boolean refused(BatchQueue queue, FakeJob job) {
        check(queue.offer(job), "the queue is closed");
        check(job.status == 0 || job.status == 503, "status %d", job.status);
        return job.status == 503;
    }

    /** Collects a batch as TorchServe's {@code Model.pollBatch} does. */
    static List<FakeJob> collect(BatchQueue queue, int most, long delayMs) throws InterruptedException {
        List<FakeJob> jobs = new ArrayList<>();
        Job job = queue.poll(Long.MAX_VALUE, TimeUnit.MILLISECONDS);
        while (job != null) {
            jobs.add((FakeJob) original(job));
            job = jobs.size() < most ? queue.poll(delayMs, TimeUnit.MILLISECONDS) : null;
        }
        return jobs;
    }

    /** Returns the job behind a worker's attempt. */
    static Job original(Job job) {
        return job instanceof Attempt ? ((Attempt) job).queued.job : job;
    }

    static List<FakeJob> collect(BatchQueue queue, int most) throws InterruptedException {
        return collect(queue, most, 1);
    }
}
