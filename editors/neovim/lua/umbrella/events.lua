-- What others can listen to: `User` autocommands named Umbrella….
local M = {}

---@alias umbrella.Event 'Shown'|'Hidden'|'Accepted'|'Dismissed'|'Status'

---@param name umbrella.Event
---@param data table
function M.fire(name, data)
  vim.api.nvim_exec_autocmds('User', {
    pattern = 'Umbrella' .. name,
    modeline = false,
    data = data,
  })
end

return M
