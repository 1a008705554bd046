-- `:checkhealth umbrella`
local config = require('umbrella.config')
local server = require('umbrella.server')

local M = {}

local PATIENCE_MS = 5000
local START_MS = 15000 -- Python from a cold disk on a busy machine
local TIMED_OUT = 124 -- what vim.system gives for a status

local function check_neovim()
  vim.health.start('Neovim')
  local version = tostring(vim.version())
  if vim.fn.has('nvim-0.11') == 1 then
    vim.health.ok('version ' .. version)
  else
    vim.health.error(version .. ' is too old', { 'Umbrella needs Neovim 0.11 or newer' })
  end
  local builtin = vim.lsp.inline_completion
  if builtin and builtin.is_enabled() and vim.fn.exists('#umbrella') == 1 then
    vim.health.warn('vim.lsp.inline_completion is enabled beside the front end of this plugin', {
      'every suggestion is shown twice: use either setup() or the built-in one',
    })
  end
  for _, other in ipairs({ 'copilot', 'llm', 'minuet', 'supermaven-nvim', 'codeium' }) do
    if package.loaded[other] then
      vim.health.warn(other .. ' is loaded too; two ghost texts cover each other')
    end
  end
end

local function check_program()
  vim.health.start('The server')
  local cmd = vim.lsp.config[server.name].cmd
  local program = type(cmd) == 'table' and cmd[1] or 'umbrella-lsp'
  local path = vim.fn.exepath(program)
  if path == '' then
    path = server.executable() or ''
  end
  if path == '' then
    vim.health.error(program .. ' cannot be found', {
      'pipx install umbrella-lsp',
      'or: uv tool install umbrella-lsp',
      'or name it: setup({ cmd = { "/path/to/umbrella-lsp", "--stdio" } })',
    })
    return
  end
  local done = vim.system({ path, '--version' }, { text = true, timeout = START_MS }):wait()
  if done.code == 0 then
    vim.health.ok(('%s: %s'):format(path, vim.trim(done.stdout)))
  elseif done.code == TIMED_OUT then
    vim.health.error(('%s does not start within %d s'):format(path, START_MS / 1000))
  else
    vim.health.error(('%s does not run: %s'):format(path, vim.trim(done.stderr)))
  end
end

---@param status table
local function check_daemon(status)
  local daemon = status.daemon
  if type(daemon) ~= 'table' then
    vim.health.warn('the daemon is not connected: ' .. status.message, { ':Umbrella log' })
  elseif status.phase == 'ready' then
    vim.health.ok(('model: %s on %s'):format(daemon.pair, daemon.device))
  else
    local text = ('the daemon is not ready: %s: %s'):format(status.phase, status.message)
    vim.health.warn(text, { ':Umbrella log', 'umbrella doctor' })
  end
end

local function check_session()
  local client = server.client()
  if not client then
    vim.health.warn('no server is running', {
      'it starts with the first file that has a file type',
      'call require("umbrella").setup() or vim.lsp.enable("umbrella")',
      'see ' .. vim.lsp.log.get_filename(),
    })
    return
  end
  local buffers = vim.tbl_count(client.attached_buffers)
  vim.health.ok(('running, %d buffers, columns in %s'):format(buffers, client.offset_encoding))
  local answered, status = false, nil
  server.status(0, function(answer)
    answered, status = true, answer
  end)
  vim.wait(PATIENCE_MS, function()
    return answered
  end, 5)
  if status then
    check_daemon(status)
  else
    vim.health.error('it does not answer within 5 s', { ':Umbrella restart', ':Umbrella log' })
  end
end

local function check_options()
  vim.health.start('Options')
  if vim.fn.exists('#umbrella') == 0 then
    vim.health.info('setup() was not called: no front end of this plugin')
  end
  for line in vim.gsplit(vim.inspect(config.options), '\n') do
    vim.health.info(line)
  end
  for action, key in vim.spairs(config.keys()) do
    local mapping = key and vim.fn.maparg(key, 'i', false, true) or {}
    if key and not vim.startswith(mapping.desc or '', 'Umbrella') then
      vim.health.warn(('%s for %s was mapped again by something else'):format(key, action))
    end
  end
  vim.health.info('log of the client: ' .. vim.lsp.log.get_filename())
  vim.health.info('log of the daemon: :Umbrella log')
end

function M.check()
  check_neovim()
  check_program()
  check_session()
  check_options()
end

return M
