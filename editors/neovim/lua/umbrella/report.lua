-- The server's status and request traces as lines for a person.
local M = {}

---@param counts table<string, integer>
---@return string
local function counted(counts)
  local parts = {}
  for name, count in vim.spairs(counts) do
    table.insert(parts, ('%s %d'):format(name, count))
  end
  return #parts > 0 and table.concat(parts, ', ') or 'none'
end

---@param daemon table
---@return string[]
local function daemon_lines(daemon)
  local uptime = daemon.uptime_seconds / 60
  return {
    ('model    %s'):format(daemon.pair),
    ('device   %s, %s'):format(daemon.device, daemon.dtype),
    ('daemon   %s, process %d, up %d min, %d MB'):format(
      daemon.version,
      daemon.pid,
      uptime,
      daemon.rss_bytes / 1e6
    ),
  }
end

--- Describe a status; nil: no server has answered.
---@param status table?
---@param enabled boolean whether suggestions appear in this buffer
---@param why string the switch that says so
---@return string[]
function M.status(status, enabled, why)
  local here = ('here     %s (%s)'):format(enabled and 'on' or 'off', why)
  if not status then
    local state = require('umbrella.status').state
    return { ('Umbrella %s: %s'):format(state.phase, state.message or ''), here }
  end
  local percent = type(status.percent) == 'number' and (' %d %%'):format(status.percent) or ''
  local lines = { ('Umbrella %s%s: %s'):format(status.phase, percent, status.message) }
  if type(status.daemon) == 'table' then
    vim.list_extend(lines, daemon_lines(status.daemon))
  end
  if type(status.recording) == 'string' then
    table.insert(lines, ('records  your typing into %s'):format(status.recording))
  end
  return vim.list_extend(lines, {
    ('window   %d requests, %d shown, %d accepted'):format(
      status.requests,
      status.shown,
      status.accepted
    ),
    ('silent   %s'):format(counted(status.reasons)),
    here,
  })
end

---@param trace table
---@return string[]
local function trace_lines(trace)
  local stages = {}
  for stage, ms in vim.spairs(trace.ms) do
    table.insert(stages, ('%s %.1f'):format(stage, ms))
  end
  return {
    ('%s  version %d'):format(vim.fs.basename(trace.document), trace.version),
    ('  prompt %d tokens: %d reused, %d computed'):format(
      trace.prompt_tokens,
      trace.reused_tokens,
      trace.prefilled_tokens
    ),
    ('  drafted %d, accepted %d in %d steps, %d tokens in all'):format(
      trace.drafted_tokens,
      trace.accepted_tokens,
      trace.target_steps,
      trace.generated_tokens
    ),
    ('  ms: %s'):format(table.concat(stages, ', ')),
    ('  %s'):format(trace.reason == '' and 'shown' or 'nothing shown: ' .. trace.reason),
    '',
  }
end

--- Describe the latest requests, the newest first.
---@param status table?
---@return string[]
function M.traces(status)
  local daemon = status and status.daemon
  local traces = type(daemon) == 'table' and daemon.traces or {}
  local lines = {}
  for index = #traces, 1, -1 do
    vim.list_extend(lines, trace_lines(traces[index]))
  end
  return #lines > 0 and lines or { 'No request yet.' }
end

return M
