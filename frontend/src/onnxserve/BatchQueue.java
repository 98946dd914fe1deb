package onnxserve;

import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.TimeUnit;
import org.pytorch.serve.job.Job;

/**
 * A model's queue that makes nobody wait for company that isn't expected.
 *
 * <p>TorchServe collects a batch with one poll that waits for ever, then polls that wait up to
 * maxBatchDelay for each further job, also when there is one client only. Here a batch waits until
 * it is as large as the batch before it: a lone request goes at once, and under load batches grow by
 * what queued up meanwhile. The collecting thread holds the model's lock, which guards the counts.
 */
final class BatchQueue extends LinkedBlockingDeque<Job> {
    private static final long serialVersionUID = 1L;
    private int collected;
    private volatile int expected = 1;

    BatchQueue(int capacity) {
        super(capacity);
    }

    int expected() {
        return expected;
    }

    @Override
    public Job poll(long timeout, TimeUnit unit) throws InterruptedException {
        boolean first = timeout == Long.MAX_VALUE;
        if (first) {
            expected = Math.max(collected, 1);
            collected = 0;
        }
        boolean wait = first || (super.isEmpty() && collected < expected);
        Job job = wait ? super.poll(timeout, unit) : super.poll();
        if (job != null) {
            collected++;
        }
        return job;
    }
}
