-- For `vim.lsp.enable('umbrella')`, which `require('umbrella').setup()` also uses.
---@type vim.lsp.Config
return {
  -- Neovim writes whatever a server says on standard error into its log as an error
  cmd = { 'umbrella-lsp', '--stdio', '--log-level=warning' },
  root_markers = { '.git' },
  -- one server for the whole editor: the model behind it is shared anyway
  reuse_client = function(client, config)
    return client.name == config.name and not client:is_stopped()
  end,
  handlers = {
    ['umbrella/status'] = function(_, state)
      require('umbrella.status').receive(state)
    end,
    ['$/logTrace'] = function() end, -- `:Umbrella trace` shows more
  },
  on_exit = function(code, signal)
    require('umbrella.server').exited(code, signal)
  end,
}
