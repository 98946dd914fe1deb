package onnxserve;

import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.pytorch.serve.job.Job;

/** Runs one check: {@code java onnxserve.Checks FairnessChecks nameOfTheCheck}. */
final class Checks {
    private Checks() {}

    public static void main(String[] args) throws ReflectiveOperationException {
        try {
            Class.forName("onnxserve." + args[0]).getDeclaredMethod(args[1]).invoke(null);
        } catch (InvocationTargetException error) {
            error.getCause().printStackTrace();
            System.exit(1);
        }
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

    /** A queue that doesn't wait for company, with a clock that stands still. */
    static BatchQueue queue(int capacity) {
        return queue(capacity, new AtomicLong(System.nanoTime()));
    }

    static BatchQueue queue(int capacity, AtomicLong clock) {
        return new BatchQueue(capacity, () -> 1, () -> {}, clock::get);
    }

    /** As TorchServe collects a batch: {@code Model.pollBatch}. */
    static List<FakeJob> collect(BatchQueue queue, int most, long delayMs) throws InterruptedException {
        List<FakeJob> jobs = new ArrayList<>();
        Job job = queue.poll(Long.MAX_VALUE, TimeUnit.MILLISECONDS);
        while (job != null) {
            jobs.add((FakeJob) job);
            job = jobs.size() < most ? queue.poll(delayMs, TimeUnit.MILLISECONDS) : null;
        }
        return jobs;
    }

    static List<FakeJob> collect(BatchQueue queue, int most) throws InterruptedException {
        return collect(queue, most, 1);
    }
}
