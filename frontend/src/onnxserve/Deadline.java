package onnxserve;

import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.pytorch.serve.job.Job;

/**
 * When a request is worth nothing any more, as a {@link System#nanoTime}.
 *
 * <p>{@code x-onnxserve-deadline} is in seconds from {@code x-onnxserve-start}, which is in seconds since
 * the epoch. The wall clock is read once, when the job comes, for how much is left; from then on the
 * monotonic clock counts, so a clock that jumps later changes nothing. One that jumped back before
 * can't give a job more than its deadline from its own beginning. A model's clientTimeoutInMills is a
 * deadline too. What isn't a number is no deadline.
 */
final class Deadline {
    static final String LIMIT = "x-onnxserve-deadline";
    static final String START = "x-onnxserve-start";
    private static final long NEVER = Long.MAX_VALUE;
    private static final double LONGEST_S = 1e8;
    private final long at;

    private Deadline(long at) {
        this.at = at;
    }

    static Deadline of(Job job, long now) {
        Map<String, String> headers = job.getPayload().getHeaders();
        long at = NEVER;
        double limit = seconds(headers.get(LIMIT));
        if (!Double.isNaN(limit)) {
            double elapsed = System.currentTimeMillis() / 1e3 - seconds(headers.get(START));
            double left = limit - Math.max(Double.isNaN(elapsed) ? 0 : elapsed, 0);
            at = earlier(now + nanos(left), job.getBegin() + nanos(limit));
        }
        long expires = job.getPayload().getClientExpireTS();
        if (expires != Long.MAX_VALUE) {
            long left = expires - System.currentTimeMillis();
            at = earlier(at, now + TimeUnit.MILLISECONDS.toNanos(left));
        }
        return new Deadline(at);
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
