package onnxserve;

/**
 * Strict order of a few queues with a bound: a queue that was passed over {@code patience[i]} times in a row
 * goes first. Each queue therefore waits for a bounded number of turns.
 *
 * <p>A mask's bits represent the queues; the least significant bit is first in order.
 */
final class BoundedBypass {
    private final int[] patience;
    private final int[] passed;

    BoundedBypass(int... patience) {
        this.patience = patience;
        this.passed = new int[patience.length];
    }

    /**
     * Returns the queue whose turn it is; {@code waiting} has a bit for each queue that isn't empty, and at
     * least one bit.
     */
    int next(int waiting) {
        int first = Integer.numberOfTrailingZeros(waiting);
        for (int queue = patience.length - 1; queue > first; queue--) {
            if ((waiting >> queue & 1) == 1 && passed[queue] >= patience[queue]) {
                return queue;
            }
        }
        return first;
    }

    /** Records that a job was taken from {@code queue} while the queues of {@code waiting} had jobs. */
    void taken(int queue, int waiting) {
        passed[queue] = 0;
        for (int later = queue + 1; later < passed.length; later++) {
            passed[later] = (waiting >> later & 1) == 1 ? passed[later] + 1 : 0;
        }
    }
}
