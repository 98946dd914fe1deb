package onnxserve;

/**
 * Strict order of a few queues, where one that was passed over {@code patience[i]} times in a row goes
 * first: each waits for a bounded number of turns, whatever comes before it.
 *
 * <p>Queues are given as the bits of a mask, the least significant first in order.
 */
final class BoundedBypass {
    private final int[] patience;
    private final int[] passed;

    BoundedBypass(int... patience) {
        this.patience = patience;
        this.passed = new int[patience.length];
    }

    /** The queue whose turn it is; {@code waiting} has a bit for each that isn't empty, at least one. */
    int next(int waiting) {
        int first = Integer.numberOfTrailingZeros(waiting);
        for (int queue = patience.length - 1; queue > first; queue--) {
            if ((waiting >> queue & 1) == 1 && passed[queue] >= patience[queue]) {
                return queue;
            }
        }
        return first;
    }

    /** One was taken from {@code queue}, while those of {@code waiting} had some. */
    void taken(int queue, int waiting) {
        passed[queue] = 0;
        for (int later = queue + 1; later < passed.length; later++) {
            passed[later] = (waiting >> later & 1) == 1 ? passed[later] + 1 : 0;
        }
    }
}
