package onnxserve;

/**
 * Estimates the duration of a batch of n jobs, {@code first + (n - 1) * further}, from finished batches.
 * Limits the batch size so that a quiet client doesn't wait much longer than without other clients.
 *
 * <p>A job that arrives during a batch waits for that batch and then runs in its own. If each of the two
 * takes at most a quarter longer than a single job, the job takes at most 2.5 times its own time. If each job
 * adds as much as the first, the limit is one job, since such a model gains nothing from batches; a job then
 * takes at most twice its own time.
 */
final class ServiceTime {
    private static final double GROWTH = 0.25;
    // HTTP and process scheduling vary by about this much, so models that are faster keep larger batches.
    private static final double BLUR_NS = 500_000;
    // A value is measured again after this many batches without a measurement. A batch of one job delays no
    // client. Larger batches are forced too rarely to change a 99th percentile.
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

    /** Follows the lower of noisy values, since other load on the machine only adds to a time. */
    private static double follow(double before, double value) {
        if (Double.isNaN(before)) {
            return value;
        }
        return before + (value - before) / (value < before ? DOWN : UP);
    }

    /** Returns the maximum batch size while a quiet client may arrive: at most twice the largest measured batch. */
    int limit() {
        if (Double.isNaN(first) || sinceFirst >= FIRST_STALE) {
            return 1;
        }
        double affordable = further > 0 ? 1 + Math.max(GROWTH * first, BLUR_NS) / further : Double.MAX_VALUE;
        int limit = (int) Math.min(affordable, 2.0 * largest);
        return sinceFurther >= FURTHER_STALE ? Math.max(limit, 2) : limit;
    }
}
