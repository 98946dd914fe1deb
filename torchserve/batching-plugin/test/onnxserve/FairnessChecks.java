package onnxserve;

import static onnxserve.Checks.check;
import static onnxserve.Checks.equal;

import java.util.HashMap;
import java.util.Map;
import java.util.Random;

/** Shares of clients within one priority. */
final class FairnessChecks {
    private static final int SEEDS = 50;

    private FairnessChecks() {}

    static void aPacedClientGoesBeforeAFloodThatCameFirst() {
        BatchQueue queue = Checks.queue(1000);
        for (int i = 0; i < 500; i++) {
            queue.offer(FakeJob.of("flood"));
        }
        queue.poll();
        for (int i = 0; i < 20; i++) {
            FakeJob paced = FakeJob.of("paced");
            queue.offer(paced);
            check(queue.poll() == paced, "request %d of the paced client was overtaken", i);
            // The queue has forgotten the paced client when its next request arrives.
            queue.poll();
            queue.poll();
        }
    }

    static void aClientsJobsKeepTheirOrder() {
        for (int seed = 0; seed < SEEDS; seed++) {
            Random random = new Random(seed);
            BatchQueue queue = Checks.queue(10_000);
            Map<String, Long> last = new HashMap<>();
            for (int i = 0; i < 3000; i++) {
                if (random.nextInt(5) < 3) {
                    queue.offer(new FakeJob("c" + random.nextInt(6), random.nextInt(5000), Map.of()));
                } else {
                    FakeJob job = (FakeJob) queue.poll();
                    if (job != null) {
                        long id = Long.parseLong(job.getJobId());
                        Long before = last.put(job.client, id);
                        check(before == null || before < id, "seed %d: %s took %d after %d", seed, job.client, id, before);
                    }
                }
            }
        }
    }

    /** Checks the bound of deficit round robin: a quantum and the largest job, for each of two clients. */
    static void clientsThatWaitGetTheSameBytes() {
        for (int seed = 0; seed < SEEDS; seed++) {
            Random random = new Random(seed);
            FairQueue queue = new FairQueue();
            int clients = 2 + random.nextInt(5);
            int[] largest = new int[clients];
            for (int client = 0; client < clients; client++) {
                largest[client] = 1 + random.nextInt(20_000);
            }
            long most = 0;
            for (int i = 0; i < 400; i++) {
                for (int client = 0; client < clients; client++) {
                    QueuedJob job = job("c" + client, random.nextInt(largest[client]));
                    most = Math.max(most, job.cost);
                    queue.add(job);
                }
            }
            Map<String, Long> bytes = new HashMap<>();
            // All clients have jobs until the client with the fewest bytes has none.
            while (smallest(queue, clients) > 0) {
                QueuedJob job = queue.take();
                bytes.merge(job.client, job.cost, Long::sum);
                long least = bytes.size() < clients ? 0 : bytes.values().stream().min(Long::compare).get();
                long greatest = bytes.values().stream().max(Long::compare).get();
                check(greatest - least <= 4 * most, "seed %d: %s, largest job %d", seed, bytes, most);
            }
        }
    }

    private static int smallest(FairQueue queue, int clients) {
        int smallest = Integer.MAX_VALUE;
        for (int client = 0; client < clients; client++) {
            smallest = Math.min(smallest, queue.sizeOf("c" + client));
        }
        return smallest;
    }

    private static QueuedJob job(String client, int bytes) {
        return new QueuedJob(new FakeJob(client, bytes, Map.of()), System.nanoTime());
    }

    static void aRequestWithManyRowsCountsAsMany() {
        BatchQueue queue = Checks.queue(10_000);
        for (int i = 0; i < 1000; i++) {
            queue.offer(new FakeJob("rows", 100, Map.of()));
            if (i % 10 == 0) {
                queue.offer(new FakeJob("bulk", 50_000, Map.of()));
            }
        }
        Map<String, Integer> taken = new HashMap<>();
        for (int i = 0; i < 500; i++) {
            taken.merge(((FakeJob) queue.poll()).client, 1, Integer::sum);
        }
        check(taken.get("rows") > 400, "%s", taken);
    }

    static void newClientsWithoutNumberLeaveOthersANinth() {
        BatchQueue queue = Checks.queue(10_000);
        for (int i = 0; i < 1000; i++) {
            queue.offer(FakeJob.of("old"));
        }
        queue.poll();
        int old = 0;
        for (int i = 0; i < 900; i++) {
            queue.offer(FakeJob.of("new" + i));
            old += ((FakeJob) queue.poll()).client.equals("old") ? 1 : 0;
        }
        check(old >= 900 / 9 - 1, "%d of 900", old);
    }

    static void clientsThatAreQuietAreForgotten() {
        FairQueue queue = new FairQueue();
        for (int i = 0; i < 100; i++) {
            queue.add(job("flood", 100));
        }
        int most = 0;
        for (int i = 0; i < 100_000; i++) {
            queue.add(job("client" + i, 100 + i % 7));
            queue.add(job("flood", 100));
            queue.take();
            queue.take();
            most = Math.max(most, queue.flows());
        }
        check(most <= 130, "%d clients are remembered", most);
        while (queue.take() != null) {
            // drains the queue
        }
        equal(0, queue.flows());
    }

    static void aClientOfSmallJobsTakesNoLongTurnsBesideOneOfLargeOnes() {
        FairQueue queue = new FairQueue();
        for (int i = 0; i < 500; i++) {
            queue.add(job("large", 8_000_000));
            queue.add(job("small", 100));
            queue.add(job("small", 100));
        }
        for (int i = 0; i < 400; i++) {
            queue.take();
        }
        for (int request = 0; request < 10; request++) {
            queue.add(job("paced", 100));
            int turns = 1;
            while (!queue.take().client.equals("paced")) {
                queue.add(job("small", 100));
                turns++;
            }
            check(turns <= 10, "request %d waited for %d turns", request, turns);
        }
    }

    static void whatAClientMayStillTakeShrinksWithTheJobs() {
        FairQueue queue = new FairQueue();
        queue.add(job("a", 8_000_000));
        queue.add(job("b", 8_000_000));
        for (int i = 0; i < 1000; i++) {
            queue.add(job("a", 100));
            queue.add(job("b", 100));
        }
        queue.take();
        queue.take();
        String last = "";
        int turns = 0;
        for (int i = 0; i < 500; i++) {
            String client = queue.take().client;
            turns = client.equals(last) ? turns + 1 : 1;
            check(turns <= 3, "%s took %d turns", client, turns);
            last = client;
        }
    }
}
