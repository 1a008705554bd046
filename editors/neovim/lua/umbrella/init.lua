-- What users and other plugins call.
local M = {}

local ghost = require('umbrella.ghost')
local server = require('umbrella.server')

--- Start: take the options, map the keys they name, follow the editor, enable the server.
---@param options? umbrella.Options
function M.setup(options)
  local taken = require('umbrella.config').set(options)
  require('umbrella.keymap').set()
  ghost.start()
  server.enable(taken)
end

--- Whether a suggestion is on the screen.
---@return boolean
function M.is_visible()
  return ghost.is_visible()
end

--- Accept all of the suggestion.
---@return boolean whether there was one
function M.accept()
  return ghost.accept('all')
end

--- Accept the next word of it.
---@return boolean whether there was one
function M.accept_word()
  return ghost.accept('word')
end

--- Accept the rest of its line, or the next line where that is empty.
---@return boolean whether there was one
function M.accept_line()
  return ghost.accept('line')
end

--- Show the next suggestion.
---@return boolean whether one is on the screen
function M.next()
  return ghost.cycle(1)
end

--- Show the previous suggestion.
---@return boolean whether one is on the screen
function M.prev()
  return ghost.cycle(-1)
end

--- Take the suggestion away until the next key.
---@return boolean whether there was one
function M.dismiss()
  return ghost.dismiss()
end

--- Ask for suggestions here, also where they are switched off.
---@return boolean whether a server serves this buffer
function M.trigger()
  return ghost.trigger()
end

---@return boolean
function M.can_trigger()
  return server.client(vim.api.nvim_get_current_buf()) ~= nil
end

--- Whether suggestions appear by themselves in a buffer.
---@param bufnr? integer
---@return boolean
function M.is_enabled(bufnr)
  local enabled = require('umbrella.config').enabled(bufnr or vim.api.nvim_get_current_buf())
  return enabled
end

---@alias umbrella.Scope 'global'|'buffer'|'filetype'

--- Switch suggestions on or off: everywhere, in this buffer or for its file type.
---@param scope? umbrella.Scope default: everywhere
---@param enabled? boolean default: what it is not now
---@return boolean enabled what it is now
function M.toggle(scope, enabled)
  if enabled == nil then
    enabled = not M.is_enabled()
  end
  if scope == 'buffer' then
    vim.b.umbrella_enabled = enabled
  elseif scope == 'filetype' then
    require('umbrella.config').options.filetypes[vim.bo.filetype] = enabled
  else
    vim.g.umbrella_enabled = enabled
  end
  ghost.leave()
  ghost.update()
  vim.cmd.redrawstatus()
  return enabled
end

--- Change settings of the server while it runs, as in `setup`'s `settings`.
---@param settings table
function M.configure(settings)
  server.configure(settings)
end

--- The state of the server; see `User UmbrellaStatus`.
---@return umbrella.State
function M.status()
  return require('umbrella.status').state
end

--- One word for a status line, for `%{%…%}` or lualine.
---@return string
function M.statusline()
  return require('umbrella.status').line()
end

return M
