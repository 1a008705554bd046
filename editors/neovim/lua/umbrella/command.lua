-- `:Umbrella …`
local config = require('umbrella.config')
local report = require('umbrella.report')
local server = require('umbrella.server')

local M = {}

local TRACES = 20

---@param command string[]
---@param done fun(result: vim.SystemCompleted)
local function run_cli(command, done)
  local fine, problem = pcall(
    vim.system,
    vim.list_extend({ server.cli() }, command),
    { text = true },
    vim.schedule_wrap(done)
  )
  if not fine then
    server.tell(('`umbrella` cannot be run: %s'):format(problem), vim.log.levels.ERROR)
  end
end

---@param lines string[]
---@param name string
local function show(lines, name)
  vim.cmd.new()
  vim.api.nvim_buf_set_lines(0, 0, -1, false, lines)
  local options = { buftype = 'nofile', bufhidden = 'wipe', swapfile = false, modifiable = false }
  for option, value in pairs(options) do
    vim.bo[option] = value
  end
  pcall(vim.api.nvim_buf_set_name, 0, 'umbrella://' .. name)
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = true, desc = 'close' })
end

---@param listed string JSON of `umbrella models list`
---@return string[]
local function model_lines(listed)
  local models = vim.json.decode(listed)
  local lines = { ('Umbrella: %s (%s)'):format(models.chosen, models.why) }
  for _, pair in ipairs(models.pairs) do
    local size = pair.fetched and 'fetched' or ('%d MB to fetch'):format(pair.download_mb)
    table.insert(lines, ('  %-20s %s; %s'):format(pair.name, pair.summary, size))
  end
  return lines
end

local function list_models()
  run_cli({ 'models', 'list', '--json' }, function(result)
    if result.code ~= 0 then
      server.tell(vim.trim(result.stderr), vim.log.levels.ERROR)
      return
    end
    server.tell(table.concat(model_lines(result.stdout), '\n'):gsub('^Umbrella: ', ''))
  end)
end

--- Use another pair: the daemon in memory has to go, the next request starts one with the new pair.
---@param name string
local function use_model(name)
  server.configure({ pair = name })
  run_cli({ 'stop' }, function(result)
    if result.code == 0 then
      server.restart()
      server.tell(('using %s; in setup: settings = { pair = "%s" }'):format(name, name))
    else
      server.tell(vim.trim(result.stderr), vim.log.levels.ERROR)
    end
  end)
end

---@type table<string, fun(argument?: string)>
local commands = {
  status = function()
    local enabled, why = config.enabled(vim.api.nvim_get_current_buf())
    server.status(0, function(status)
      local lines = report.status(status, enabled, why)
      vim.api.nvim_echo({ { table.concat(lines, '\n') } }, true, {})
    end)
  end,
  toggle = function(scope)
    local enabled = require('umbrella').toggle(scope --[[@as umbrella.Scope]])
    server.tell(('%s %s'):format(enabled and 'on' or 'off', scope and 'for this ' .. scope or ''))
  end,
  restart = function()
    server.restart()
  end,
  log = function()
    local state = vim.env.XDG_STATE_HOME or vim.fn.expand('~/.local/state')
    local path = vim.fs.joinpath(state, 'umbrella/log/daemon.log')
    if vim.fn.filereadable(path) == 1 then
      vim.cmd.split(vim.fn.fnameescape(path))
      vim.cmd('normal! G')
    else
      run_cli({ 'logs', '--lines', '1000' }, function(result)
        show(vim.split(vim.trim(result.stdout .. result.stderr), '\n'), 'log')
        vim.cmd('normal! G')
      end)
    end
  end,
  model = function(name)
    if name then
      use_model(name)
    else
      list_models()
    end
  end,
  trace = function()
    server.status(TRACES, function(status)
      show(report.traces(status), 'trace')
    end)
  end,
}

---@type table<string, fun(): string[]>
local arguments = {
  toggle = function()
    return { 'buffer', 'filetype', 'global' }
  end,
  model = function()
    local done = vim.system({ server.cli(), 'models', 'list', '--json' }, { text = true }):wait()
    if done.code ~= 0 then
      return {}
    end
    return vim.tbl_map(function(pair)
      return pair.name
    end, vim.json.decode(done.stdout).pairs)
  end,
}

---@param words string[]
function M.run(words)
  local command = commands[words[1] or 'status']
  if not command then
    local known = vim.tbl_keys(commands)
    table.sort(known)
    local text = 'there is no `%s`; there are: %s'
    server.tell(text:format(words[1], table.concat(known, ', ')), vim.log.levels.ERROR)
    return
  end
  local accepted = words[1] == 'toggle' and words[2] and arguments.toggle()
  if accepted and not vim.list_contains(accepted, words[2]) then
    local text = 'toggle takes %s, not `%s`'
    server.tell(text:format(table.concat(accepted, ', '), words[2]), vim.log.levels.ERROR)
    return
  end
  command(words[2])
end

---@param lead string
---@param line string
---@return string[]
function M.complete(lead, line)
  local words = vim.split(line, '%s+')
  local known = {} ---@type string[]
  if #words <= 2 then
    known = vim.tbl_keys(commands)
    table.sort(known)
  elseif arguments[words[2]] and #words == 3 then
    known = arguments[words[2]]()
  end
  return vim.tbl_filter(function(word)
    return vim.startswith(word, lead)
  end, known)
end

return M
