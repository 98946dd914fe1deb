package onnxserve;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.pytorch.serve.util.messages.InputParameter;

/**
 * Remembers, for a while, requests that each ended two workers. The same request is then answered at once, so
 * it ends no more workers and doesn't make other clients wait. A client with many such requests is refused
 * until some of them are forgotten, since its rows may differ each time. Thread-safe.
 */
final class Poison {
    // Something else may have ended the workers, so a request is remembered for a limited time.
    private static final long KEPT_NS = TimeUnit.MINUTES.toNanos(5);
    private static final int MOST = 64;
    // A binary search for one bad row among a thousand needs fewer.
    private static final int MOST_OF_CLIENT = 12;
    private final ArrayDeque<Known> requests = new ArrayDeque<>();

    synchronized void add(QueuedJob job, long now) {
        if (requests.size() == MOST) {
            requests.removeFirst();
        }
        requests.addLast(new Known(job.client, job.cost, digest(job), now + KEPT_NS));
    }

    /** Returns the reason to refuse a job, or null. */
    synchronized Drop refusal(QueuedJob job, long now) {
        while (!requests.isEmpty() && now - requests.peekFirst().until >= 0) {
            requests.removeFirst();
        }
        if (requests.isEmpty()) {
            return null; // nearly always: this is on the way of every request
        }
        if (contains(job)) {
            return Drop.POISON;
        }
        // Without a gateway all clients have the empty name, and no client is refused because of another.
        boolean many = !job.client.isEmpty() && ofClient(job.client) >= MOST_OF_CLIENT;
        return many ? Drop.QUARANTINED : null;
    }

    /** Hashes a body only if a known request has the same size, which is rare. */
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
