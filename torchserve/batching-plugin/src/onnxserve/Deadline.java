package onnxserve;

import java.util.concurrent.TimeUnit;
import org.pytorch.serve.job.Job;

/**
 * The time after which a request's answer is worthless, as a {@link System#nanoTime}.
 *
 * <p>{@code x-onnxserve-deadline} is in seconds after {@code x-onnxserve-start}, which is in seconds since
 * the epoch. The wall clock is read once, when the job arrives, to compute the remaining time. The monotonic
 * clock counts from then on, so later jumps of the wall clock have no effect. After an earlier jump, a job
 * still gets at most its deadline from its own beginning, and a start in the future or more than a day ago
 * counts as now. A model's clientTimeoutInMills is a deadline too. A value that isn't a positive number sets
 * no deadline.
 */
final class Deadline {
    static final String LIMIT = "x-onnxserve-deadline";
    static final String START = "x-onnxserve-start";
    private static final long NEVER = Long.MAX_VALUE;
    private static final double LONGEST_S = 86_400;
    private final long at;

    private Deadline(long at) {
        this.at = at;
    }

    /** {@code elapsed} is the result of {@link #elapsed} at {@code now}. */
    static Deadline of(Job job, long elapsed, long now) {
        long at = NEVER;
        double limit = seconds(job.getPayload().getHeaders().get(LIMIT));
        if (limit > 0) {
            at = earlier(now + nanos(limit - elapsed / 1e9), job.getBegin() + nanos(limit));
        }
        long expires = job.getPayload().getClientExpireTS();
        if (expires != Long.MAX_VALUE) {
            long left = expires - System.currentTimeMillis();
            at = earlier(at, now + TimeUnit.MILLISECONDS.toNanos(left));
        }
        return new Deadline(at);
    }

    /** Returns the time since a request began, in ns; 0 if its header is missing or impossible. */
    static long elapsed(Job job) {
        double elapsed = System.currentTimeMillis() / 1e3 - seconds(job.getPayload().getHeaders().get(START));
        return elapsed > 0 && elapsed < LONGEST_S ? nanos(elapsed) : 0;
    }

    boolean passed(long now) {
        return at != NEVER && now - at >= 0;
    }

    private static long earlier(long one, long other) {
        return one == NEVER || other - one < 0 ? other : one;
    }

    private static long nanos(double seconds) {
        return (long) (Math.min(Math.max(seconds, 0), LONGEST_S) * 1e9);
    }

    private static double seconds(String text) {
        if (text == null) {
            return Double.NaN;
        }
        try {
            return Double.parseDouble(text);
        } catch (NumberFormatException error) {
            return Double.NaN;
        }
    }
}
