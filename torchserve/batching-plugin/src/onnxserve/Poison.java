package onnxserve;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.pytorch.serve.util.messages.InputParameter;

/**
 * Requests that ended two workers each, for a while: whoever sends the same again is answered at once, and ends
 * no more workers, for which others would have to wait. A client with many of them is refused until some are forgotten,
 * since its rows may differ each time. Thread-safe.
 */
final class Poison {
    // What ended the workers may have been something else, so it isn't for ever.
    private static final long KEPT_NS = TimeUnit.MINUTES.toNanos(5);
    private static final int MOST = 64;
    // More than halving a thousand rows down to the one that ends workers takes.
    private static final int MOST_OF_CLIENT = 12;
    private final ArrayDeque<Known> requests = new ArrayDeque<>();

    synchronized void add(QueuedJob job, long now) {
        if (requests.size() == MOST) {
            requests.removeFirst();
        }
        requests.addLast(new Known(job.client, job.cost, digest(job), now + KEPT_NS));
    }

    /** Why a job isn't taken in, or null. */
    synchronized Drop refusal(QueuedJob job, long now) {
        while (!requests.isEmpty() && now - requests.peekFirst().until >= 0) {
            requests.removeFirst();
        }
        if (contains(job)) {
            return Drop.POISON;
        }
        // Without a gateway nobody has a name, and one client isn't refused for another.
        boolean many = !job.client.isEmpty() && ofClient(job.client) >= MOST_OF_CLIENT;
        return many ? Drop.QUARANTINED : null;
    }

    /** A body is digested only if one of its size is known, which is nearly never. */
    private boolean contains(QueuedJob job) {
        byte[] digest = null;
        for (Known known : requests) {
            if (known.cost == job.cost) {
                digest = digest == null ? digest(job) : digest;
                if (Arrays.equals(digest, known.digest)) {
                    return true;
                }
            }
        }
        return false;
    }

    private long ofClient(String client) {
        return requests.stream().filter(known -> known.client.equals(client)).count();
    }

    private static byte[] digest(QueuedJob job) {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
        for (InputParameter parameter : job.job.getPayload().getParameters()) {
            String head = parameter.getName() + "\n" + parameter.getContentType() + "\n" + parameter.getValue().length + "\n";
            digest.update(head.getBytes(StandardCharsets.UTF_8));
            digest.update(parameter.getValue());
        }
        return digest.digest();
    }

    private static final class Known {
        final String client;
        final long cost;
        final byte[] digest;
        final long until;

        Known(String client, long cost, byte[] digest, long until) {
            this.client = client;
            this.cost = cost;
            this.digest = digest;
            this.until = until;
        }
    }
}
