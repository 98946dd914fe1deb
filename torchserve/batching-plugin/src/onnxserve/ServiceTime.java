package onnxserve;

/**
 * What a batch of n jobs takes, {@code first + (n - 1) * further}, learnt from the batches that ran, and
 * how many may run together without making a quiet client wait much longer than alone.
 *
 * <p>A job that comes during a batch waits for that and then runs in its own. Where both last no longer
 * than one job alone, plus a quarter, that is at most 2.5 times its own time; where each job adds as much
 * as the first, it is 2 times: such a model gains nothing from batches, and its limit is one.
 */
final class ServiceTime {
    private static final double GROWTH = 0.25;
    // What HTTP and the scheduling of processes blur anyway: models faster than that keep larger batches.
    private static final double BLUR_NS = 500_000;
    // What wasn't measured in so many batches is measured again: one job alone, which makes nobody wait, and
    // more than one, which happens too rarely to move a 99th percentile.
    private static final int FIRST_STALE = 64;
    private static final int FURTHER_STALE = 400;
    private static final double DOWN = 2;
    private static final double UP = 32;

    private double first = Double.NaN;
    private double further = Double.NaN;
    private int largest = 1;
    private int sinceFirst;
    private int sinceFurther;

    void add(int jobs, long nanos) {
        largest = Math.max(largest, jobs);
        sinceFirst++;
        sinceFurther++;
        if (jobs == 1) {
            first = follow(first, nanos);
            sinceFirst = 0;
        } else if (!Double.isNaN(first)) {
            further = follow(further, (nanos - first) / (jobs - 1));
            sinceFurther = 0;
        }
    }

    /** Follows the lower of noisy values: what else runs on the machine only adds to a time. */
    private static double follow(double before, double value) {
        if (Double.isNaN(before)) {
            return value;
        }
        return before + (value - before) / (value < before ? DOWN : UP);
    }

    /** Jobs that a batch may have while a quiet client may come: at most twice as many as were ever measured. */
    int limit() {
        if (Double.isNaN(first) || sinceFirst >= FIRST_STALE) {
            return 1;
        }
        double affordable = further > 0 ? 1 + Math.max(GROWTH * first, BLUR_NS) / further : Double.MAX_VALUE;
        int limit = (int) Math.min(affordable, 2.0 * largest);
        return sinceFurther >= FURTHER_STALE ? Math.max(limit, 2) : limit;
    }
}
