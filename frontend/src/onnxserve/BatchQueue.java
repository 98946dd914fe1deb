package onnxserve;

import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.TimeUnit;
import org.pytorch.serve.job.Job;
import org.pytorch.serve.wlm.Model;

/**
 * A model's queue that makes nobody wait for company that isn't expected.
 *
 * <p>TorchServe collects a batch with one poll that waits for ever, then polls that wait up to
 * maxBatchDelay for each further job, also when there is one client only. Here a batch takes what has
 * queued up while the batch before it ran, and waits only until it is as large as that one: a lone
 * request goes at once. With a maxBatchDelay of 1 ms, the least that TorchServe takes, it never waits.
 * The collecting thread holds the model's lock, which guards the counts.
 */
final class BatchQueue extends LinkedBlockingDeque<Job> {
    private static final long serialVersionUID = 1L;
    private final transient Model model;
    private int collected;
    private volatile int expected = 1;

    BatchQueue(Model model, int capacity) {
        super(capacity);
        this.model = model;
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
        boolean wait = first || (collected < expected && model.getMaxBatchDelay() > 1);
        Job job = wait ? super.poll(timeout, unit) : super.poll();
        if (job != null) {
            collected++;
        }
        return job;
    }
}
