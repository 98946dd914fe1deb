-- wrk script: sends the bodies of a file in turn and counts the labels of the answers. An answer without a label
-- counts as "?" followed by its status.
-- wrk -s load.lua URL -- BODIES PATTERN
local bodies, counts, at, pattern = {}, {}, 0, ""
local all = {}

function setup(thread) table.insert(all, thread) end

function init(args)
  for line in io.lines(args[1]) do bodies[#bodies + 1] = line end
  pattern = args[2]
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  seen = ""
end

function request()
  at = at % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end

function response(status, headers, body)
  local label = status == 200 and body:match(pattern) or "?" .. status
  counts[label] = (counts[label] or 0) + 1
  answered = (answered or 0) + 1
  if answered % 64 == 0 then publish() end
end

-- `done` can read only global strings of a thread.
function publish()
  local parts = {}
  for label, count in pairs(counts) do parts[#parts + 1] = string.format("%q:%d", label, count) end
  seen = "{" .. table.concat(parts, ",") .. "}"
end

function done(summary, latency, requests)
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("\n@@%d %d %d %d %d %d\n", summary.requests, summary.duration, broken, summary.errors.status,
    latency:percentile(50), latency:percentile(99)))
  for _, thread in ipairs(all) do io.write("@@" .. thread:get("seen") .. "\n") end
end
