-- The language server as Neovim's client of it: starts it, starts it again when it dies, tells it
-- of settings and asks it for text. Knows nothing of what is on the screen.
local M = {}

M.name = 'umbrella'
local RESTARTS = 5 -- within RESTART_SECONDS, then it is left alone
local RESTART_SECONDS = 180

---@type integer[] when it died, seconds
local deaths = {}
local stopping = false

---@param text string
---@param level? integer
function M.tell(text, level)
  vim.notify('Umbrella: ' .. text, level or vim.log.levels.INFO)
end

--- Give the client that serves a buffer, or any buffer.
---@param bufnr? integer
---@return vim.lsp.Client?
function M.client(bufnr)
  for _, client in ipairs(vim.lsp.get_clients({ name = M.name, bufnr = bufnr })) do
    if client.initialized and not client:is_stopped() then
      return client
    end
  end
end

--- The server's executable: from $PATH, or where pipx and uv put it.
---@return string?
function M.executable()
  for _, candidate in ipairs({ 'umbrella-lsp', '~/.local/bin/umbrella-lsp' }) do
    local path = vim.fn.exepath(vim.fn.expand(candidate))
    if path ~= '' then
      return path
    end
  end
end

--- Give the command line of `umbrella`, which is installed beside the server.
---@return string
function M.cli()
  local cmd = vim.lsp.config[M.name] and vim.lsp.config[M.name].cmd
  local server = type(cmd) == 'table' and vim.fn.exepath(cmd[1]) or ''
  local beside = vim.fs.joinpath(vim.fs.dirname(server), 'umbrella')
  return server ~= '' and vim.fn.executable(beside) == 1 and beside or 'umbrella'
end

--- Let Neovim start the server with the first file, now if there is one.
---@param options umbrella.Config
function M.enable(options)
  local config = { settings = { umbrella = options.settings } } ---@type vim.lsp.Config
  local executable = not options.cmd and M.executable()
  if options.cmd then
    config.cmd = options.cmd
  elseif executable then
    config.cmd = vim.deepcopy(vim.lsp.config[M.name].cmd) --[[@as string[] ]]
    config.cmd[1] = executable
  else
    M.tell(
      'umbrella-lsp is not installed: `pipx install umbrella-lsp` or `uv tool install '
        .. 'umbrella-lsp`, then start Neovim again. More: :checkhealth umbrella',
      vim.log.levels.WARN
    )
    return
  end
  if options.should_attach then
    config.root_dir = function(bufnr, start)
      if options.should_attach(bufnr) then
        start(vim.fs.root(bufnr, { '.git' }))
      end
    end
  end
  vim.lsp.config(M.name, config)
  vim.lsp.enable(M.name)
end

--- Stop the server and start it again for the same buffers.
function M.restart()
  deaths = {}
  local clients = vim.lsp.get_clients({ name = M.name })
  if #clients == 0 then
    vim.lsp.enable(M.name)
    return
  end
  stopping = true -- `exited` starts it again
  for _, client in ipairs(clients) do
    client:stop()
  end
end

--- Called when the server has ended: start it again unless that is no use.
---@param code integer
---@param signal integer
function M.exited(code, signal)
  if vim.v.exiting ~= vim.NIL then
    return
  end
  local wanted, now = stopping, os.time()
  stopping = false
  if not wanted and code == 0 and signal == 0 then
    return -- somebody else has stopped it
  end
  if not wanted then
    deaths = vim.tbl_filter(function(time)
      return now - time < RESTART_SECONDS
    end, deaths)
    table.insert(deaths, now)
  end
  vim.schedule(function()
    require('umbrella.status').receive({ phase = 'stopped', message = 'the server has ended' })
    if #deaths > RESTARTS then
      local text = 'the server died %d times in %d s, it is left alone now: :Umbrella restart'
      M.tell(text:format(#deaths, RESTART_SECONDS), vim.log.levels.ERROR)
    else
      vim.lsp.enable(M.name)
    end
  end)
end

--- Change settings of the server while it runs; those that are not named stay.
---@param settings table what the server calls its section `umbrella`
function M.configure(settings)
  vim.lsp.config(M.name, { settings = { umbrella = settings } })
  for _, client in ipairs(vim.lsp.get_clients({ name = M.name })) do
    local merged = vim.tbl_deep_extend('force', client.settings or {}, { umbrella = settings })
    client.settings = merged
    client:notify('workspace/didChangeConfiguration', { settings = merged })
  end
end

--- Tell the server which buffer a person looks at, and where: a daemon that has ended is started
--- again, and one that runs gets ready for the first key.
---@param bufnr integer
function M.focus(bufnr)
  local client = M.client(bufnr)
  if client then
    local params = { textDocument = { uri = vim.uri_from_bufnr(bufnr) } }
    if bufnr == vim.api.nvim_get_current_buf() then -- else no window tells where the cursor is
      params.position = vim.lsp.util.make_position_params(0, client.offset_encoding).position
    end
    client:notify('textDocument/didFocus', params)
  end
end

---@class umbrella.Request
---@field client vim.lsp.Client
---@field bufnr integer
---@field row integer 0-based line of the cursor
---@field col integer 0-based byte in it
---@field explicit boolean whether a person asked by a key

---@param value any an answer of the server
---@return table[]
local function items(value)
  if type(value) ~= 'table' then
    return {}
  end
  return value.items or value
end

--- Ask for the text at a place. `reply` gets the items, unless the request is cancelled or fails;
--- then it gets nil and what went wrong.
---@param request umbrella.Request
---@param reply fun(items: table[]?, problem: string?)
---@return fun() cancel tells the server, and `reply` is not called any more
function M.ask(request, reply)
  local client, bufnr = request.client, request.bufnr
  local line = vim.api.nvim_buf_get_lines(bufnr, request.row, request.row + 1, false)[1] or ''
  local cancelled = false
  local params = {
    textDocument = { uri = vim.uri_from_bufnr(bufnr) },
    position = {
      line = request.row,
      character = vim.str_utfindex(line, client.offset_encoding, request.col, false),
    },
    context = { triggerKind = request.explicit and 1 or 2 },
  }
  local _, id = client:request('textDocument/inlineCompletion', params, function(problem, answer)
    if cancelled then
      return
    end
    cancelled = true -- nothing is left to cancel
    if problem then
      reply(nil, problem.message)
    else
      reply(items(answer))
    end
  end, bufnr)
  return function()
    if not cancelled then
      cancelled = true
      if id and not client:is_stopped() then
        client:cancel_request(id)
      end
    end
  end
end

--- Ask for the status; `reply` gets nil where there is no server or no answer.
---@param traces integer how many of the latest request traces to include
---@param reply fun(status: table?)
function M.status(traces, reply)
  local client = M.client()
  local sent = client
    and client:request('umbrella/status', { traces = traces }, function(problem, status)
      reply(not problem and status or nil)
    end)
  if not sent then
    reply(nil)
  end
end

return M
