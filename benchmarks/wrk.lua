-- No two requests alike: seeds count up, each thread from a start of its own, and labels go round.
-- Arguments after "--": the body's template (%d label, %d seed), classes, first seed, seeds a request.
local SEEDS = 2 ^ 32
local APART = 2 ^ 26  -- seeds between the starts of two threads
local threads = 0

function setup(thread)
   thread:set("number", threads)
   threads = threads + 1
end

function init(arguments)
   template, classes = arguments[1], tonumber(arguments[2])
   seed = (tonumber(arguments[3]) + number * APART) % SEEDS
   step, label = tonumber(arguments[4]), number % classes
   wrk.method = "POST"
   wrk.headers["Content-Type"] = "application/json"
end

function request()
   local body = string.format(template, label, seed)
   label = (label + 1) % classes
   seed = (seed + step) % SEEDS
   return wrk.format(nil, nil, nil, body)
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f, ' ..
      '"refused": %d, "broken": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
      latency:percentile(99) / 1e3, latency.max / 1e3,
      errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
