-- Whether a completion menu is open, whosever it is: Neovim's own, blink.cmp's or nvim-cmp's.
local M = {}

---@type table<string, fun(plugin: table): boolean?>
local plugins = {
  ['blink.cmp'] = function(blink)
    return blink.is_menu_visible()
  end,
  cmp = function(cmp)
    return cmp.core.view:visible()
  end,
}

---@return boolean
function M.is_open()
  if vim.fn.pumvisible() == 1 then
    return true
  end
  for name, visible in pairs(plugins) do
    local plugin = package.loaded[name]
    if type(plugin) == 'table' then
      local fine, open = pcall(visible, plugin)
      if fine and open then
        return true
      end
    end
  end
  return false
end

local listening = false

---@param group integer
---@param changed fun()
local function listen_to_cmp(group, changed)
  vim.api.nvim_create_autocmd('InsertEnter', {
    group = group,
    callback = function()
      local cmp = package.loaded.cmp
      if cmp and cmp.event and not listening then
        listening = true
        cmp.event:on('menu_opened', changed)
        cmp.event:on('menu_closed', changed)
      end
    end,
  })
end

--- Call `changed` when a menu opens or closes.
---@param group integer of autocommands
---@param changed fun()
function M.watch(group, changed)
  local soon = vim.schedule_wrap(changed)
  vim.api.nvim_create_autocmd('CompleteChanged', { group = group, callback = changed })
  vim.api.nvim_create_autocmd('CompleteDone', { group = group, callback = soon })
  vim.api.nvim_create_autocmd('User', {
    group = group,
    pattern = { 'BlinkCmpMenuOpen', 'BlinkCmpMenuClose' },
    callback = soon,
  })
  listen_to_cmp(group, soon)
end

return M
