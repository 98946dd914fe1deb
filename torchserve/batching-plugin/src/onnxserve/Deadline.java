package onnxserve;

import java.util.concurrent.TimeUnit;
import org.pytorch.serve.job.Job;

/**
 * When a request is worth nothing any more, as a {@link System#nanoTime}.
 *
 * <p>{@code x-onnxserve-deadline} is in seconds from {@code x-onnxserve-start}, which is in seconds since
 * the epoch. The wall clock is read once, when the job comes, for how much is left; from then on the
 * monotonic clock counts, so a clock that jumps later changes nothing. One that jumped before can't
 * give a job more than its deadline from its own beginning, and a start in the future or more than a
 * day ago counts as now. A model's clientTimeoutInMills is a deadline too. What isn't a positive number
 * is no deadline.
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

    /** {@code elapsed} is what {@link #elapsed} said at {@code now}. */
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

    /** How long ago a request began, in ns; 0 where it doesn't say so, or says what can't be. */
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
