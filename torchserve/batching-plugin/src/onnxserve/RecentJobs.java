package onnxserve;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;

/** Whose the last jobs were that came. */
final class RecentJobs {
    private static final int KEPT = 4096;
    // Of a client on average: fewer say nothing of how often it asks.
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

    /** The client had less than half as many of them as the clients had on average. */
    boolean isQuiet(String client) {
        return clients.size() >= LEAST * counts.size() && 2 * counts.getOrDefault(client, 0) * counts.size() < clients.size();
    }
}
