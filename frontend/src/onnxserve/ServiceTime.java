package onnxserve;

/**
 * What a batch of n jobs takes, {@code first + (n - 1) * further}, learnt from the batches that ran, and how many
 * may run together without making a quiet client wait much longer than alone.
 *
 * <p>A job that comes during a batch waits for that and then runs in its own. Where both last no longer
 * than one job alone, plus a quarter, that is at most some 2.5 times its own time, and 2 times where each
 * job adds as much as the first: such a model gains nothing from batches, and its limit is one.
 */
final class ServiceTime {
    private static final double GROWTH = 0.25;
    // What HTTP and the scheduling of processes blur anyway: models faster than that keep larger batches.
    private static final double BLUR_NS = 250_000;
    // Batches without a measurement of one job alone, before the next one is made.
    private static final int STALE = 16;
    private static final double DOWN = 4;
    private static final double UP = 32;

    private double first = Double.NaN;
    private double further = Double.NaN;
    private int largest = 1;
    private int since;

    void add(int jobs, long nanos) {
        largest = Math.max(largest, jobs);
        if (jobs == 1) {
            first = smooth(first, nanos);
            since = 0;
        } else if (!Double.isNaN(first)) {
            further = smooth(further, (nanos - first) / (jobs - 1));
            since++;
        }
    }

    /** Follows the lower of noisy values: what else runs on the machine only adds to a time. */
    private static double smooth(double before, double value) {
        if (Double.isNaN(before)) {
            return value;
        }
        return before + (value - before) / (value < before ? DOWN : UP);
    }

    /** Jobs that a batch may have while a quiet client may come: at most twice as many as were ever measured. */
    int limit() {
        if (Double.isNaN(first) || since >= STALE) {
            return 1;
        }
        double affordable = further > 0 ? 1 + Math.max(GROWTH * first, BLUR_NS) / further : Double.MAX_VALUE;
        return (int) Math.min(affordable, 2.0 * largest);
    }
}
