package onnxserve;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;

/** The clients of the most recent jobs. */
final class RecentJobs {
    private static final int KEPT = 4096;
    // Average number of jobs per client; fewer jobs can't show how often a client sends.
    private static final int LEAST = 16;
    private final ArrayDeque<String> clients = new ArrayDeque<>(KEPT + 1);
    private final Map<String, Integer> counts = new HashMap<>();

    void add(String client) {
        clients.addLast(client);
        counts.merge(client, 1, Integer::sum);
        if (clients.size() > KEPT) {
            counts.computeIfPresent(clients.removeFirst(), (name, count) -> count == 1 ? null : count - 1);
        }
    }

    /** Returns whether the client sent less than half as many of these jobs as the average client. */
    boolean isQuiet(String client) {
        return clients.size() >= LEAST * counts.size() && 2 * counts.getOrDefault(client, 0) * counts.size() < clients.size();
    }
}
